from __future__ import annotations

import pytest

from adapter.contract.auth import decode_repository
from adapter.contract.queries import matcher, parse_or_list, parse_query
from adapter.errors import NameInvalid
from adapter.references import RepositoryName


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (None, {}),
        ("", {}),
        ("x", {}),
        ("name=a", {"name": "a"}),
        (" name=~a, tags=b=c", {"name": "~a", "tags": "b=c"}),
    ],
)
def test_parse_query(query: str | None, found: dict[str, str]) -> None:
    assert parse_query(query) == found


@pytest.mark.parametrize(
    ("value", "names"), [("{'a' 'b'}", ("a", "b")), ("{'a b'}", ("a", "b")), ("{}", ()), ("a", None)]
)
def test_parse_or_list(value: str, names: tuple[str, ...] | None) -> None:
    assert parse_or_list(value) == names


def test_matcher() -> None:
    assert [matcher("~pp")(each) for each in ("app", "ap")] == [True, False]
    assert [matcher("app")(each) for each in ("app", "apps")] == [True, False]
    assert [matcher("{app web}")(each) for each in ("app", "web", "we")] == [True, True, False]


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "a%2fb"])
def test_decode_repository(name: str) -> None:
    assert decode_repository("team", name) == RepositoryName("team", "a/b")


@pytest.mark.parametrize(("project", "name"), [("UP", "a"), ("team", "a%252Fb"), ("team", "%00"), ("team", "..")])
def test_decode_invalid_repository(project: str, name: str) -> None:
    with pytest.raises(NameInvalid):
        decode_repository(project, name)
