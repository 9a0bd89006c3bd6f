from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.provider.json_edit import edit, max_values, parse, unescape_ascii


def test_last_of_repeated_members_counts_in_its_own_position() -> None:
    """Core reads one after the other, and takes `a` and `A` for the same name."""
    assert list(parse(b'{"a":1,"A":2,"a":3}').items()) == [("A", 2), ("a", 3)]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b"{} {}", b"[" * 100_000]
)
def test_body_that_is_not_json_keeps_its_bytes(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse(body)
    assert edit(body, lambda _: "never") == body


def test_only_a_changed_document_gets_new_bytes() -> None:
    body = b' {"a": 1.50, "b": 12345678901234567890, "c": "\\ud800"} '
    assert edit(body, lambda document: document) == body
    changed = edit(body, lambda document: {**document, "d": "\xfc"})
    assert changed == b'{"a":1.5,"b":12345678901234567890,"c":"\\ud800","d":"\\u00fc"}'


@pytest.mark.parametrize(
    ("body", "unescaped"),
    [(rb"\u0073w\u0072.\U0041", rb"swr.A"), (rb"\u2028\u00e9\u00", rb"\u2028\u00e9\u00"), (b"plain", b"plain")],
)
def test_escaped_ascii_is_found(body: bytes, unescaped: bytes) -> None:
    assert unescape_ascii(body) == unescaped


@pytest.mark.parametrize("body", [b"{}", b"[]", b"1", b'{"a":[{},{}],"b":2}', b"[[],[[]]]"])
def test_max_values_is_an_upper_bound(body: bytes) -> None:
    def count(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(map(count, inner))

    assert count(json.loads(body)) <= max_values(body)
