"""Text for the log: without secrets, bounded in length, and without characters that could forge a line.

Every pattern here takes time in proportion to the text: nothing mandatory follows an unbounded repeat, so no attempt
reads far and then fails. Texts come from strangers, before any credentials are checked.
"""

from __future__ import annotations

import re
from typing import Final

MAX_TEXT: Final = 32 << 10
"""Characters of a message, with its traceback."""
MAX_VALUE: Final = 2048
"""Characters of a field, such as a path or the sentence of an error."""

_SECRETS: Final = (
    re.compile(r"\b(Basic|Bearer)\s{1,64}[\w+/=.~-]{6,}", re.IGNORECASE),
    re.compile(r"\b(Signature|_state|digest_state|X-Amz-Signature|password|token)=[^&\s,\"']+", re.IGNORECASE),
    re.compile(r"\b(eyJ)[\w-]{8,}(?:\.[\w-]*){0,2}"),
)
_SEALED: Final = re.compile(r"(/blobs/uploads/)[^?\s]+")
_LONG: Final = re.compile(r"(?<![^/?\s])[^/?\s]{136,}")
"""Longer than any tag or digest: a sealed location where none belongs."""

PATTERNS: Final = (*_SECRETS, _SEALED, _LONG)


def cut(text: str, longest: int) -> str:
    """The first `longest` characters; the end says how many were left out."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} more characters)"


def masked(text: str, longest: int = MAX_TEXT) -> str:
    """The text without what looks like a credential, a token, or the sealed part of an upload path."""
    text = cut(text, longest)
    for pattern in _SECRETS:
        text = pattern.sub(r"\1 …", text)
    return _SEALED.sub(r"\1…", text)


def shown_path(path: str) -> str:
    """A request's path for the log: printable, without anything sealed, `MAX_VALUE` characters at most."""
    printable = "".join(letter if letter.isprintable() else "_" for letter in cut(path, MAX_VALUE))
    return _LONG.sub("…", masked(printable))


def escaped(text: str) -> str:
    """The text with `\\u001b` for each character that is not printable: control and bidirectional ones, line ends."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    """As JSON has it."""
    number = ord(letter)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
