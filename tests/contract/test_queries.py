from __future__ import annotations

import pytest

from adapter.contract.queries import alternatives, matcher, repository_in, terms
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
def test_terms(query: str | None, found: dict[str, str]) -> None:
    assert terms(query) == found


@pytest.mark.parametrize(
    ("value", "names"), [("{'a' 'b'}", ("a", "b")), ("{'a b'}", ("a", "b")), ("{}", ()), ("a", None)]
)
def test_alternatives(value: str, names: tuple[str, ...] | None) -> None:
    assert alternatives(value) == names


def test_matches() -> None:
    assert [matcher("~pp")(each) for each in ("app", "ap")] == [True, False]
    assert [matcher("app")(each) for each in ("app", "apps")] == [True, False]
    assert [matcher("{app web}")(each) for each in ("app", "web", "we")] == [True, True, False]


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "a%2fb"])
def test_a_repository_of_a_path(name: str) -> None:
    assert repository_in("team", name) == RepositoryName("team", "a/b")


@pytest.mark.parametrize(("project", "name"), [("UP", "a"), ("team", "a%252Fb"), ("team", "%00"), ("team", "..")])
def test_a_path_without_a_repository(project: str, name: str) -> None:
    with pytest.raises(NameInvalid):
        repository_in(project, name)
