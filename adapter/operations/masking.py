"""Text for the log: without secrets, limited in length, and without characters that could forge a line.

Every pattern needs linear time: nothing mandatory follows an unbounded repeat, so no attempt reads far and then fails.
Texts come from unknown clients, before their credentials are checked.
"""

from __future__ import annotations

import re
from typing import Final

MAX_TEXT_LENGTH: Final = 32 << 10
"""Characters of a message or a traceback."""
MAX_VALUE_LENGTH: Final = 2048
"""Characters of a field, such as a path or the message of an error."""

_SECRETS: Final = (
    re.compile(r"\b(Basic|Bearer)\s{1,64}[\w+/=.~-]{6,}", re.IGNORECASE),
    re.compile(r"\b(Signature|_state|digest_state|X-Amz-Signature|password|token)=[^&\s,\"']+", re.IGNORECASE),
    re.compile(r"\b(eyJ)[\w-]{8,}(?:\.[\w-]*){0,2}"),
)
_UPLOAD_STATE: Final = re.compile(r"(/blobs/uploads/)[^?\s]+")
_LONG: Final = re.compile(r"(?<![^/?\s])[^/?\s]{136,}")
"""Longer than any tag or digest: an upload location in an unexpected place."""

PATTERNS: Final = (*_SECRETS, _UPLOAD_STATE, _LONG)


def cut(text: str, max_length: int) -> str:
    """The first `max_length` characters, followed by the number of omitted ones."""
    return text if len(text) <= max_length else f"{text[:max_length]}… ({len(text) - max_length} more characters)"


def masked(text: str, max_length: int = MAX_TEXT_LENGTH) -> str:
    """The text without credentials, tokens, and the signed part of an upload location."""
    text = cut(text, max_length)
    for pattern in _SECRETS:
        text = pattern.sub(r"\1 …", text)
    return _UPLOAD_STATE.sub(r"\1…", text)


def shown_path(path: str) -> str:
    """The path of a request: printable, without upload locations, `MAX_VALUE_LENGTH` characters at most."""
    printable = "".join(letter if letter.isprintable() else "_" for letter in cut(path, MAX_VALUE_LENGTH))
    return _LONG.sub("…", masked(printable))


def escaped(text: str) -> str:
    """The text with escapes such as `\\u001b` for control characters, line ends and bidirectional characters."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    """The escape of a character in JSON."""
    number = ord(letter)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
