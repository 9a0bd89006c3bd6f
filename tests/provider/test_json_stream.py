from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import Unexpected
from adapter.provider.json_edit import changed
from adapter.provider.json_stream import listed
from tests.provider.test_properties import json_values


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def marked(item: bytes) -> bytes:
    return b"<%b>" % item


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
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
def test_items_and_what_stands_between_them(text: bytes, wanted: bytes, size: int) -> None:
    assert b"".join(listed(pieces(text, size), marked, 1000)) == wanted


@settings(deadline=None)
@given(st.lists(json_values, min_size=1), st.integers(1, 40), st.data())
def test_each_item_is_changed_as_it_would_be_alone(document: list[Any], size: int, data: st.DataObject) -> None:
    text = json.dumps(document, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=data.draw(st.booleans()))

    def change(item: Any) -> Any:
        return [item]

    out = b"".join(listed(pieces(text.encode(), size), lambda each: changed(each, change), 1 << 20))
    assert json.loads(out) == [[each] for each in json.loads(text)]
    assert b"".join(listed(pieces(text.encode(), size), lambda each: each, 1 << 20)) == text.encode()


def test_only_an_item_has_a_bound() -> None:
    text = b"[" + b'"0123456789",' * 100 + b'"' + b"x" * 31 + b'"]'
    assert b"".join(listed(pieces(text, 7), bytes, 40)) == text
    with pytest.raises(Unexpected, match="has an entry of more than 20 bytes"):
        b"".join(listed(pieces(text, 7), bytes, 20))


@pytest.mark.parametrize("text", [b'["' + b"x" * 100, b"[" * 100, b"[" + b" " * 100, b"[" + b"1" * 100])
def test_nothing_comes_before_the_first_item(text: bytes) -> None:
    with pytest.raises(Unexpected):
        next(listed(pieces(text, 7), bytes, 20))
