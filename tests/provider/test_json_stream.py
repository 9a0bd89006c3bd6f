from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import Unexpected
from adapter.provider.json_edit import edit
from adapter.provider.json_stream import edit_items
from tests.provider.test_properties import json_values


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def marked(item: bytes) -> bytes:
    return b"<%b>" % item


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"[]", b"[<>]"),
        (b' \n[ 1 ,"a,]\\"[" ,{"b":[2,{}]}]\n ', b' \n[< 1 >,<"a,]\\"[" >,<{"b":[2,{}]}>]\n '),
        (b'["\\\\","\\\\\\"",[[],[]]] x ]', b'[<"\\\\">,<"\\\\\\"">,<[[],[]]>] x ]'),
        (b'[1,"half', b'[<1>,"half'),
        (b"[", b"["),
        (b'{"a":[1]}', b'{"a":[1]}'),
        (b"null", b"null"),
        (b" \n ", b" \n "),
        (b"", b""),
    ],
)
def test_items_change_and_separators_stay(text: bytes, wanted: bytes, size: int) -> None:
    assert b"".join(edit_items(pieces(text, size), marked, 1000)) == wanted


@settings(deadline=None)
@given(st.lists(json_values, min_size=1), st.integers(1, 40), st.data())
def test_item_changes_as_it_would_alone(document: list[Any], size: int, data: st.DataObject) -> None:
    text = json.dumps(document, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=data.draw(st.booleans()))

    def change(item: Any) -> Any:
        return [item]

    out = b"".join(edit_items(pieces(text.encode(), size), lambda each: edit(each, change), 1 << 20))
    assert json.loads(out) == [[each] for each in json.loads(text)]
    assert b"".join(edit_items(pieces(text.encode(), size), lambda each: each, 1 << 20)) == text.encode()


def test_only_an_item_has_a_limit() -> None:
    text = b"[" + b'"0123456789",' * 100 + b'"' + b"x" * 31 + b'"]'
    assert b"".join(edit_items(pieces(text, 7), bytes, 40)) == text
    with pytest.raises(Unexpected, match="exceeds 20 bytes"):
        b"".join(edit_items(pieces(text, 7), bytes, 20))


@pytest.mark.parametrize("text", [b'["' + b"x" * 100, b"[" * 100, b"[" + b" " * 100, b"[" + b"1" * 100])
def test_nothing_is_sent_before_the_first_item(text: bytes) -> None:
    with pytest.raises(Unexpected):
        next(edit_items(pieces(text, 7), bytes, 20))
