from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.provider.json_edit import changed, parsed, unescaped, values_at_most


def test_of_several_members_with_one_name_the_last_one_counts_where_it_stands() -> None:
    """Core reads one after the other, and takes `a` and `A` for the same name."""
    found = parsed(b'{"a":1,"A":2,"a":3}')
    assert found is not None
    assert list(found[1].items()) == [("A", 2), ("a", 3)]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b"{} {}", b"[" * 100_000]
)
def test_what_is_no_document_keeps_its_bytes(body: bytes) -> None:
    assert parsed(body) is None
    assert changed(body, lambda _: "never") == body


def test_what_is_not_changed_keeps_its_bytes() -> None:
    assert changed(b' {"a": 1.0 }', lambda document: document) == b' {"a": 1.0 }'
    assert changed(b' {"a": 1.0 }', lambda document: {**document, "b": 2}) == b' {"a": 1.0,"b":2}'


@pytest.mark.parametrize(
    ("body", "read"),
    [(rb"\u0073w\u0072.\U0041", rb"swr.A"), (rb"\u2028\u00e9\u00", rb"\u2028\u00e9\u00"), (b"plain", b"plain")],
)
def test_escapes_hide_nothing(body: bytes, read: bytes) -> None:
    assert unescaped(body) == read


@pytest.mark.parametrize("body", [b"{}", b"[]", b"1", b'{"a":[{},{}],"b":2}', b"[[],[[]]]"])
def test_no_document_has_more_values(body: bytes) -> None:
    def count(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(map(count, inner))

    assert count(json.loads(body)) <= values_at_most(body)
