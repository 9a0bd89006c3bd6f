"""Harbor gets ASCII: received text is converted, and the messages of the adapter are ASCII."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.text import plain

ADAPTER = Path(__file__).parent.parent / "adapter"
NOT_FOR_HARBOR = {
    "operations/masking.py",  # log lines
    "provider/request_translation.py",  # letters that Go's JSON decoder treats as others
    "sandbox/journal.py",  # a mark for omitted text
    "sandbox/knob_table.py",  # sections of the fact sheets, for the page of knobs
    "text.py",  # the letters that are converted
}


@given(st.text())
def test_plain_returns_one_ascii_line_without_percent_sign(text: str) -> None:
    found = plain(text)
    assert found.isascii()
    assert found.isprintable()
    assert "%" not in found
    assert plain(found) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("für\nKöln:\t100 %", "fuer Koeln: 100 percent"),
        ("Ko\u0308ln", "Koeln"),
        ("50% of a%sb%d, %2F and 5%2F", "50 percent of a(percent)sb(percent)d, (percent)2F and 5(percent)2F"),
        ("１００％", "100 percent"),
        ("‘José’ “–” … → «é»", '\'Jose\' "-" ... -> "e"'),
        ("命名空间不存在", "<U+547D><U+540D><U+7A7A><U+95F4><U+4E0D><U+5B58><U+5728>"),
        ("a\u202eb\x1b[0m\x00c\ud800", "a b [0m c"),
        ("\U0001f600 (§4.2)", "<U+1F600> (section 4.2)"),
        ("", ""),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def strings(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string constant that is not a docstring."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


@pytest.mark.parametrize("file", sorted(ADAPTER.rglob("*.py")), ids=lambda file: str(file.relative_to(ADAPTER)))
def test_strings_of_the_adapter_are_ascii(file: Path) -> None:
    if str(file.relative_to(ADAPTER)) not in NOT_FOR_HARBOR:
        assert [found for found in strings(file.read_text()) if not found[1].isascii()] == []
