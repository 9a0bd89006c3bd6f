"""The expectations accept what Harbor accepted, and refuse each thing that would break it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.sandbox.recording import Exchange, load
from adapter.sandbox.replay import Result
from tests.replay.expectations import complaints, has_expectation
from tests.replay.scenarios import CONTRACT, DOCKER_REGISTRY, MOUNTS, OTHER_VERSIONS, TRANSLATED, Difference, scenarios

ORIGIN = "http://127.0.0.1:8080"
ARTIFACT = {"digest": "sha256:" + "0" * 64, "type": "IMAGE"}


def recorded(name: str, number: int) -> Result:
    """The recorded answer, as if the player had got it; a name without a folder is one of `contract/`."""
    file = CONTRACT.parent / f"{name if '/' in name else f'contract/{name}'}.jsonl"
    return as_recorded(next(each for each in load(file) if each.number == number))


def as_recorded(exchange: Exchange) -> Result:
    headers = tuple((key, value.replace("{self}", ORIGIN)) for key, value in exchange.response.headers)
    body = exchange.response.body.data if exchange.response.body else None
    return Result(exchange, exchange.request.target, exchange.response.status, headers, body or b"")


def without(result: Result, name: str, value: str | None = None) -> Result:
    """The result with the header left out, or with another value."""
    assert result.header(name) is not None
    headers = tuple(pair for pair in result.headers if pair[0].lower() != name.lower())
    return replace(result, headers=headers if value is None else (*headers, (name, value)))


FOLDERS = [CONTRACT, MOUNTS, DOCKER_REGISTRY, TRANSLATED]
FOLDERS += [version / folder.name for version in OTHER_VERSIONS for folder in (CONTRACT, MOUNTS, TRANSLATED)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_what_harbor_was_answered_is_enough(folder: Path) -> None:
    for scenario in {part.file: part for whole in scenarios(folder) for part in whole.parts}.values():
        for exchange in scenario.recording():
            result = as_recorded(exchange)
            assert complaints(result, ORIGIN) == []
            assert has_expectation(result), f"no expectation looks at {exchange}"


@pytest.mark.parametrize(
    ("name", "number", "header", "value"),
    [
        ("push-unchanged", 6, "Docker-Content-Digest", None),
        ("push-unchanged", 6, "Docker-Content-Digest", "sha256:" + "0" * 64),
        ("push-unchanged", 6, "Content-Type", "application/json"),
        ("push-unchanged", 6, "Content-Length", "558"),
        ("push-first", 26, "Content-Length", "1"),
        ("push-first", 10, "Location", None),
        ("push-first", 10, "Location", "http://swr.example/v2/fresh/hello/blobs/uploads/1"),
        ("push-first", 10, "Location", "/v2/other/hello/blobs/uploads/1"),
        ("push-first", 10, "Location", "/v2/fresh/hello/blobs/uploads/"),
        ("push-by-chunk", 19, "Range", "bytes=0-10485759"),
        ("push-by-chunk", 19, "Range", "0-0"),
        ("push-by-chunk", 20, "Range", "0-10485759"),
        ("push-by-chunk", 20, "Location", None),
        ("push-by-chunk", 21, "Docker-Content-Digest", "sha256:" + "0" * 64),
        ("push-by-chunk", 22, "Docker-Content-Digest", None),
        ("push-first", 4, "Location", "https://swr.example/api/v2.0/projects/1"),
        ("endpoint-create", 2, "Www-Authenticate", None),
        ("endpoint-create", 2, "Www-Authenticate", 'Bearer realm="https://swr.example/"'),
        ("proxy-cache-cold", 4, "Docker-Content-Digest", None),
        ("proxy-cache-cold", 4, "Content-Type", "application/json"),
        ("proxy-cache-cold", 11, "Content-Length", None),
        ("pull-many-pages", 4, "Link", '<https://swr.example/api/v2.0/projects?page=2>; rel="next"'),
        ("pull-many-pages", 5, "X-Total-Count", None),
        ("pull-first", 3, "X-Total-Count", "all"),
        ("contract-mounts/push-first", 10, "Docker-Content-Digest", None),
    ],
)
def test_headers_that_break_harbor(name: str, number: int, header: str, value: str | None) -> None:
    right = recorded(name, number)
    assert complaints(right, ORIGIN) == []
    (complaint,) = complaints(without(right, header, value), ORIGIN)
    assert complaint.startswith(f"#{number} ")
    assert header.lower() in complaint.lower()


def test_relative_location_will_do() -> None:
    assert (
        complaints(without(recorded("push-first", 10), "Location", "/v2/fresh/hello/blobs/uploads/x?y"), ORIGIN) == []
    )


@pytest.mark.parametrize(
    ("name", "number", "body", "says"),
    [
        ("push-first", 1, {"version": "v1.0"}, "recorded {'version': 'v2.0'}"),
        ("push-first", 2, [{"name": "x"}], "recorded []"),
        ("push-unchanged", 3, [], "recorded [('fresh', 0)]"),
        ("push-unchanged", 3, [{"name": "fresh", "registry_id": 3}], "recorded [('fresh', 0)]"),
        ("push-unchanged", 3, {"name": "fresh"}, "has not the form of [('fresh', 0)]"),
        ("push-first", 9, [{"name": "fresh/other"}], "recorded []"),
        ("endpoint-create", 3, [], "recorded {}"),
        ("contract-mounts/push-first", 9, [], "recorded [True]"),
        ("contract-mounts/push-first", 9, [{"name": "bare"}], "recorded [True]"),
        ("proxy-cache-tags", 3, {"name": "fresh/hello", "tags": ["v1"]}, "recorded ('fresh/hello', ['v1', 'v2'])"),
        ("proxy-cache-tags", 3, {"name": "fresh/hello", "tags": None}, "has not the form"),
        ("proxy-cache-cold", 4, {}, "the manifest hashes to"),
        ("proxy-cache-cold", 11, {}, "the blob hashes to"),
        ("event-delete-artifact", 7, {}, "a body to a deletion"),
        ("event-delete-tag", 4, {}, "a body to a deletion"),
        ("pull-first", 3, [{"name": "evt"}], "'evt' is not below the project"),
        ("pull-first", 4, [{"digest": "x", "type": "IMAGE"}], "'x' is no digest"),
        ("pull-first", 4, [ARTIFACT | {"type": None}], "the type None"),
        ("pull-first", 4, [ARTIFACT | {"tags": [{}]}], "has None among its tags"),
        ("pull-first", 4, [ARTIFACT | {"references": [{"child_digest": "x"}]}], "has 'x' among its references"),
        ("pull-first", 4, [ARTIFACT | {"accessories": [{"type": "signature"}]}], "accessory of the type 'signature'"),
        ("pull-first", 4, [ARTIFACT | {"push_time": ""}], "push_time is no time"),
        ("pull-first", 4, [ARTIFACT | {"pull_time": "2026-11-23T22:35:04"}], "pull_time is no time"),
        ("pull-first", 12, ARTIFACT, "the digest is"),
    ],
)
def test_bodies_that_break_harbor(name: str, number: int, body: object, says: str) -> None:
    (complaint,) = complaints(replace(recorded(name, number), body=json.dumps(body).encode()), ORIGIN)
    assert says in complaint


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"Not Found", "no JSON"),
        (b'{"errors": []}', "without a sentence"),
        (b'{"errors": [{"message": " "}]}', "without a sentence"),
        (b'{"errors": [{"message": "100% wrong"}]}', "holds a %"),
        (b'{"errors": [{"message": "a\\nb"}]}', "sentence of one line"),
        (b'{"errors":\n[{"message": "a"}]}', "more than one line"),
    ],
)
def test_errors_that_break_harbor(body: bytes, says: str) -> None:
    result = replace(recorded("endpoint-wrong-secret", 3), body=body)
    assert any(says in complaint for complaint in complaints(result, ORIGIN))


def test_other_status() -> None:
    assert complaints(replace(recorded("push-first", 11), status=202), ORIGIN) == [
        f"{recorded('push-first', 11).exchange}: status 202, recorded 201"
    ]


def test_no_answer() -> None:
    exchange = recorded("push-first", 11).exchange
    assert complaints(Result(exchange, error="TimeoutError"), ORIGIN) == [f"{exchange}: no answer: TimeoutError"]
    assert complaints(Result(exchange, skipped="no Location"), ORIGIN) == [f"{exchange}: skipped: no Location"]


def test_answer_that_must_differ() -> None:
    accepted = recorded("push-buildkit-index", 51)
    body = b'{"errors": [{"message": "use oci-mediatypes=false"}]}'
    wanted = Difference("4xx", ("oci-mediatypes=false",))
    assert complaints(replace(accepted, status=400, body=body), ORIGIN, wanted) == []
    accepted_anyway = complaints(accepted, ORIGIN, wanted)
    assert any("status 201, wanted 4xx" in each for each in accepted_anyway)
    (silent,) = complaints(replace(accepted, status=400, body=body), ORIGIN, Difference("400", ("--provenance",)))
    assert "does not say '--provenance'" in silent
