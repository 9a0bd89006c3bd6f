"""A recorded request, and an answer to it, that are not as the contract's document has them are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.sandbox.player import Result
from adapter.sandbox.recording import Exchange, load
from tests.replay.described import deviations
from tests.replay.scenarios import CONTRACT

START = (
    ("Docker-Distribution-Api-Version", "registry/2.0"),
    ("X-Request-Id", "1"),
    ("Location", "/v2/fresh/hello/blobs/uploads/x"),
    ("Docker-Upload-UUID", "00000000-0000-0000-0000-000000000000"),
    ("Range", "0-0"),
)


@pytest.fixture(scope="module")
def start() -> Exchange:
    """The start of an upload."""
    return next(each for each in load(CONTRACT / "push-first.jsonl") if each.request.path.endswith("/uploads/"))


def played(exchange: Exchange, target: str | None = None) -> Result:
    return Result(exchange, target or exchange.request.target, 202, START)


def test_one_that_is_as_described(start: Exchange) -> None:
    assert deviations(played(start)) == []


def test_one_without_an_answer_is_nothing_to_judge(start: Exchange) -> None:
    assert deviations(Result(start, start.request.target, error="TimeoutError")) == []


def test_what_is_not_as_described(start: Exchange) -> None:
    result = played(start)
    changed = {
        "status": replace(result, status=200),
        "header left out": replace(result, headers=START[1:]),
        "header's form": replace(result, headers=(*START[:-1], ("Range", "bytes=0-0"))),
        "header unknown": replace(result, headers=(*START, ("X-Other", "1"))),
        "body": replace(result, body=b"{}"),
        "path": played(start, "/v2/fresh/hello/blobs"),
        "query": played(start, start.request.target + "?other=1"),
        "parameter": played(start, start.request.target + "?digest=x"),
        "request header": played(
            replace(start, request=replace(start.request, headers=(*start.request.headers, ("X-Other", "1"))))
        ),
    }
    assert [what for what, each in changed.items() if not deviations(each)] == []
