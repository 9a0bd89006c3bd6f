"""The recorded format: what is read from it, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from adapter.sandbox.recording import RecordingError, load, parse
from adapter.sandbox.recordings import NAMES, images, shipped
from adapter.sandbox.recordings.blobs import Blobs, MissingBodyError

RECORDINGS = Path(__file__).parent.parent / "recordings"


def line(**changes: Any) -> str:
    """An exchange as JSON, `request` and `response` merged with the changes."""
    request = {"method": "GET", "target": "/v2/", "headers": [["Host", "{host}"]], "framing": None, "body": None}
    response = {"status": 200, "headers": [], "body": None}
    document = {"n": 1, "at_ms": 1, "took_ms": 2, "connection": 3, "request": request, "response": response}
    for name, value in changes.items():
        document[name] = {**document[name], **value} if isinstance(document.get(name), dict) else value  # type: ignore[dict-item]
    return json.dumps(document)


def sent(body: Any, **more: Any) -> str:
    length = more.pop("announced", None)
    headers = [["Content-Length", str(length)]] if length is not None else []
    return line(request={"framing": "content-length", "headers": headers, "body": body, **more})


def test_reads_one_exchange() -> None:
    (exchange,) = parse([line(n=7, request={"target": "/a?b=c", "headers": [["Accept", "x"], ["accept", "y"]]})])
    assert (exchange.number, exchange.connection, exchange.at_ms, exchange.took_ms) == (7, 3, 1, 2)
    assert (exchange.request.path, exchange.request.query) == ("/a", "b=c")
    assert exchange.request.headers == (("Accept", "x"), ("accept", "y"))
    assert exchange.request.header("ACCEPT") == "x"
    assert exchange.answer.header("ACCEPT") is None
    assert str(exchange) == "#7 GET /a"


def test_body_of_text() -> None:
    (exchange,) = parse([sent({"text": "grün"}, announced=5)])
    body = exchange.request.body
    assert body is not None
    assert (body.data, body.length) == ("grün".encode(), 5)
    assert body.digest == "sha256:" + hashlib.sha256("grün".encode()).hexdigest()


def test_body_of_bytes() -> None:
    data = b"\xff\x00"
    told = {"base64": base64.b64encode(data).decode(), "length": 2, "sha256": hashlib.sha256(data).hexdigest()}
    (exchange,) = parse([sent(told, announced=2)])
    assert exchange.request.body is not None
    assert exchange.request.body.data == data


def test_body_by_digest_only() -> None:
    (exchange,) = parse([sent({"length": 9, "sha256": "ab"}, announced=9)])
    assert exchange.request.body is not None
    assert (exchange.request.body.data, exchange.request.body.digest) == (None, "sha256:ab")


def test_masked_body_need_not_fit_its_length() -> None:
    (exchange,) = parse([sent({"text": "{secret}", "masked": True}, announced=100)])
    assert exchange.request.body is not None
    assert exchange.request.body.masked


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("{", "line 1: JSONDecodeError"),
        ("[]", "line 1: TypeError"),
        ('{"n": 1}', "line 1: KeyError: 'request'"),
        (line(request={"framing": "deflate"}), "unknown framing"),
        (line(request={"body": {"text": "x"}}), "a body without framing"),
        (sent({"text": "abc"}, announced=4), "Content-Length 4 is not the length"),
        (sent(None, announced=4), "Content-Length 4 is not the length"),
        (sent({"base64": "!", "length": 1, "sha256": ""}, announced=1), "base64"),
        (sent({"base64": "YQ==", "length": 1, "sha256": "00"}, announced=1), "length or sha256"),
        (line(request={"follows": 1}), "follows 1, which is not before it"),
    ],
)
def test_refuses(wrong: str, says: str) -> None:
    with pytest.raises(RecordingError, match=says):
        parse([wrong])


def test_refuses_numbers_out_of_order() -> None:
    with pytest.raises(RecordingError, match="line 2: number 2 is out of order"):
        parse([line(n=2), line(n=2)])


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recordings_can_be_read(name: str) -> None:
    assert load(shipped(name))


def test_no_other_recording_is_shipped() -> None:
    with pytest.raises(ValueError, match=r"no recording is called '\.\./x'"):
        shipped("../x")


@pytest.mark.parametrize("file", sorted(RECORDINGS.rglob("*.jsonl")), ids=lambda file: file.stem)
def test_every_body_is_known(file: Path, blobs: Blobs) -> None:
    """Each recorded body has the recorded length and digest, those too that are only slices of a blob."""
    for exchange in load(file):
        data = blobs.body(exchange.request)
        body = exchange.request.body
        assert len(data) == (body.length if body else 0)
        assert hashlib.sha256(data).hexdigest() == (body.sha256 if body else hashlib.sha256(b"").hexdigest())


def test_digest_of_no_image(blobs: Blobs) -> None:
    (exchange,) = parse([sent({"length": 9, "sha256": "ab"}, announced=9)])
    with pytest.raises(MissingBodyError, match="no image has the body sha256:ab of 9 bytes"):
        blobs.body(exchange.request)


def test_slice_that_is_not_what_was_sent(blobs: Blobs) -> None:
    headers = [["Content-Length", "9"], ["Content-Range", "0-8"]]
    (exchange,) = parse([sent({"length": 9, "sha256": "ab"}, headers=headers)])
    with pytest.raises(MissingBodyError):
        blobs.body(exchange.request)


def test_images_are_written_by_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.main([str(tmp_path)])
    files = list(tmp_path.iterdir())
    assert len(files) == 412
    assert all(file.name == hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    listed = {row.split()[0]: row.split()[-1] for row in capsys.readouterr().out.splitlines()}
    # The digests that Harbor was answered in push-unchanged.
    assert listed["hello:v2"] == "sha256:e0082154859279464b9db627daf29f6a700a30511471c108e12bf1b65ed1b5ca"
    assert listed["hello:v1"] == "sha256:a06508c2ee5dcc91cbbf33cfc78fa3573035d89f83c00ad5077410cf73b942c2"
    assert len(listed) == len(images.images())
