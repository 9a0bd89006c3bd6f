"""Formats of a log record: text in logfmt, or JSON. A record cannot forge another one, whatever text it holds."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Final

from adapter.operations.masking import MAX_VALUE_LENGTH, escaped, masked

_UNQUOTED: Final = re.compile(r'[^\s"=\\]+')
"""A value that needs no quotes."""
_FIELD_SYNTAX: Final = re.compile(r'["=\\]')
"""Characters that could make a message look like fields."""
_CONTINUATION: Final = "    | "
"""Prefix of the lines of a traceback, which can quote received text: only a record begins with a time."""


def quoted(text: str) -> str:
    """A logfmt value: quoted if it contains blanks, quotes, `=`, backslashes or unprintable characters."""
    if text.isprintable() and _UNQUOTED.fullmatch(text):
        return text
    return f'"{escaped(text.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34)))}"'


class _Formatter(logging.Formatter):
    """Common to both formats: masks the complete message and the traceback."""

    def message(self, record: logging.LogRecord) -> str:
        return masked(record.getMessage())

    def traceback(self, record: logging.LogRecord) -> str:
        return masked(self.formatException(record.exc_info)) if record.exc_info else ""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields of the record; texts are masked and cut."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        return {
            key: masked(value, MAX_VALUE_LENGTH) if isinstance(value, str) else value for key, value in fields.items()
        }

    def timestamp(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(_Formatter):
    """`2026-11-24T07:00:00.000Z INFO adapter.… message key=value …`; the traceback follows in further lines."""

    def format(self, record: logging.LogRecord) -> str:
        message = self.message(record)
        if not message.isprintable() or _FIELD_SYNTAX.search(message):
            message = quoted(message)
        fields = "".join(
            f" {key}={quoted(','.join(value) if isinstance(value, list) else str(value))}"
            for key, value in self.fields(record).items()
            if value not in (None, [], "")
        )
        lines = self.traceback(record).splitlines()
        traceback = "".join(f"\n{_CONTINUATION}{escaped(line)}" for line in lines)
        return f"{self.timestamp(record)} {record.levelname} {record.name} {message}{fields}{traceback}"


class JsonFormatter(_Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        message = "\n".join(filter(None, (self.message(record), self.traceback(record))))
        document = {"time": self.timestamp(record), "level": record.levelname.lower(), "logger": record.name}
        document["message"] = message
        # `dumps` does not escape line ends beyond ASCII, bidirectional characters and lone surrogates.
        return escaped(json.dumps({**document, **self.fields(record)}, ensure_ascii=False, default=str))
