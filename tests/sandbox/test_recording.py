"""The recordings: all of them can be read, and a damaged one is rejected."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from adapter.sandbox.recording import RecordingError, load, parse
from adapter.sandbox.recordings import NAMES, RecordingMissingError, images, shipped
from adapter.sandbox.recordings.blobs import Blobs, MissingBodyError

RECORDINGS = Path(__file__).parent.parent / "recordings"


def line(number: int = 1, **request: Any) -> str:
    """A line of a recording."""
    document = {"method": "PUT", "target": "/v2/", "headers": [], "framing": "content-length", "body": None, **request}
    response = {"status": 200, "headers": [], "body": None}
    return json.dumps(
        {"n": number, "at_ms": 1, "took_ms": 2, "connection": 3, "request": document, "response": response}
    )


def with_body(body: Any, length: int) -> str:
    return line(headers=[["Content-Length", str(length)]], body=body)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["{"], "line 1: JSONDecodeError"),
        (['{"n": 1}'], "line 1: KeyError: 'request'"),
        ([line(framing="deflate")], "unknown framing"),
        ([line(framing=None, body={"text": "x"})], "body without framing"),
        ([with_body({"text": "abc"}, 4)], "Content-Length 4 differs"),
        ([with_body({"base64": "!", "length": 1, "sha256": ""}, 1)], "base64"),
        ([with_body({"base64": "YQ==", "length": 1, "sha256": "00"}, 1)], "length or sha256"),
        ([line(headers=[["Content-Length", "0"]], follows=1)], "follows 1, which is not before it"),
        ([line(2, headers=[["Content-Length", "0"]])] * 2, "line 2: number 2 is not greater"),
    ],
)
def test_rejects_invalid_lines(lines: list[str], says: str) -> None:
    with pytest.raises(RecordingError, match=says):
        parse(lines)


def test_masked_body_can_differ_from_its_length() -> None:
    (exchange,) = parse([with_body({"text": "{secret}", "masked": True}, 100)])
    assert exchange.request.body is not None
    assert exchange.request.body.masked


def test_every_body_of_every_recording_is_known(blobs: Blobs) -> None:
    """Also the bodies that are slices of a blob."""
    files = sorted(RECORDINGS.rglob("*.jsonl"))
    assert {f"{name}.jsonl" for name in NAMES} <= {file.name for file in files}
    for file in files:
        for exchange in load(file):
            data, body = blobs.body(exchange.request), exchange.request.body
            assert len(data) == (body.length if body else 0), f"{file} {exchange}"
            assert not body or hashlib.sha256(data).hexdigest() == body.sha256, f"{file} {exchange}"


@pytest.mark.parametrize("headers", [[], [["Content-Range", "0-8"]]])
def test_unknown_body_is_an_error(blobs: Blobs, headers: list[list[str]]) -> None:
    (exchange,) = parse([line(headers=[["Content-Length", "9"], *headers], body={"length": 9, "sha256": "ab"})])
    with pytest.raises(MissingBodyError, match="no image has the body sha256:ab of 9 bytes"):
        blobs.body(exchange.request)


@pytest.mark.parametrize("name", NAMES)
def test_recordings_of_the_demo_are_package_data(name: str) -> None:
    assert load(shipped(name))


def test_missing_recording_is_an_error() -> None:
    with pytest.raises(RecordingMissingError, match=r"recording '\.\./x' is not installed"):
        shipped("../x")


def test_images_are_written_by_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.main([str(tmp_path)])
    files = list(tmp_path.iterdir())
    assert len(files) == 412
    assert all(file.name == hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    printed = {row.split()[0]: row.split()[-1] for row in capsys.readouterr().out.splitlines()}
    # The digests in push-unchanged, which Harbor received.
    assert printed["hello:v2"] == "sha256:e0082154859279464b9db627daf29f6a700a30511471c108e12bf1b65ed1b5ca"
    assert printed["hello:v1"] == "sha256:a06508c2ee5dcc91cbbf33cfc78fa3573035d89f83c00ad5077410cf73b942c2"
