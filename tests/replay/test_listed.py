"""What a listing says, held against what SWR holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapter.sandbox.player import Result
from adapter.sandbox.recording import load
from adapter.sandbox.recordings.images import Image
from tests.replay.listed import differences
from tests.replay.scenarios import CONTRACT, Contents, Gathering, scenarios

Change = Callable[[Any], Any]


@pytest.fixture
def held(recorded_images: Mapping[str, Image]) -> Contents:
    (scenario,) = (each for each in scenarios() if each.file.stem == "pull-first")
    return Gathering(scenario.state(recorded_images)).contents()


def results(ending: str = "", change: Change = lambda document: document) -> list[Result]:
    """The recorded answers, as if the player had got them; that of the path with this ending changed."""
    found = []
    for exchange in load(CONTRACT / "pull-first.jsonl"):
        body = exchange.answer.body.data if exchange.answer.body else None
        result = Result(exchange, exchange.request.target, exchange.answer.status, (), body or b"")
        if ending and exchange.request.path.endswith(ending):
            result = replace(result, body=json.dumps(change(json.loads(result.body))).encode())
        found.append(result)
    return found


def test_recorded_answers_are_the_state(held: Contents) -> None:
    assert [*differences(held, results())] == []


def test_nothing_listed_is_no_difference(held: Contents) -> None:
    assert [*differences(held, results()[:2])] == []


@pytest.mark.parametrize(
    ("ending", "change", "says"),
    [
        ("/fresh/repositories", lambda document: document[1:], "repositories ["),
        ("/fresh/repositories", lambda document: [*document, document[0]], "repositories ["),
        ("/fresh/repositories", lambda document: [*document, {"name": "fresh/new"}], "repositories ["),
        ("/hello/artifacts", lambda document: document[1:], "are not listed, [] are too many"),
        ("/hello/artifacts", lambda document: [*document, document[0]], "an artifact comes twice"),
        ("/evt/artifacts", lambda document: [{**document[0], "tags": [{"name": "v1"}]}], "[('v1b', "),
        ("/evt/artifacts", lambda document: [{**document[0], "digest": "sha256:" + "0" * 64}], "are too many"),
        ("/source%252Ftools%252Fdeep%252Fnested/artifacts", lambda _: [], "fresh/source/tools/deep/nested: of its"),
    ],
)
def test_what_is_missing_or_too_much_is_seen(held: Contents, ending: str, change: Change, says: str) -> None:
    assert any(says in each for each in differences(held, results(ending, change)))
