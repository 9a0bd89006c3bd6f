"""Log records as lines: text in logfmt, or JSON. A line is one line whatever the record holds."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any, Final

from adapter.operations.masking import MAX_VALUE, escaped, masked

_BARE: Final = re.compile(r'[^\s"=\\]+')
"""A value that needs no quotes."""
_FORGED: Final = re.compile(r'["=\\]')
"""What makes a message look as if it had fields."""
_CONTINUED: Final = "    | "
"""Before each line of a traceback, which can quote text from outside: a record begins with its time."""


def quoted(text: str) -> str:
    """A value as logfmt has it: quoted when it holds blanks, quotes, `=`, or characters that are not printable."""
    if text.isprintable() and _BARE.fullmatch(text):
        return text
    return f'"{escaped(text.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34)))}"'


class _Formatter(logging.Formatter):
    """Common to both forms: the message is masked after it is put together, and so is the traceback."""

    def message(self, record: logging.LogRecord) -> str:
        return masked(record.getMessage())

    def traceback(self, record: logging.LogRecord) -> str:
        return masked(self.formatException(record.exc_info)) if record.exc_info else ""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Those that have a value; texts are masked and bounded."""
        found: dict[str, Any] = getattr(record, "fields", {})
        return {key: masked(value, MAX_VALUE) if isinstance(value, str) else value for key, value in found.items()}

    def moment(self, record: logging.LogRecord) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class TextFormatter(_Formatter):
    """`2026-11-24T07:00:00.000Z INFO adapter.… message key=value …`; a traceback follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        message = self.message(record)
        if not message.isprintable() or _FORGED.search(message):
            message = quoted(message)
        shown = "".join(
            f" {key}={quoted(','.join(value) if isinstance(value, list) else str(value))}"
            for key, value in self.fields(record).items()
            if value not in (None, [], "")
        )
        lines = self.traceback(record).splitlines()
        continued = "".join(f"\n{_CONTINUED}{escaped(line)}" for line in lines)
        return f"{self.moment(record)} {record.levelname} {record.name} {message}{shown}{continued}"


class JsonFormatter(_Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        message = "\n".join(filter(None, (self.message(record), self.traceback(record))))
        document = {"time": self.moment(record), "level": record.levelname.lower(), "logger": record.name}
        document["message"] = message
        # Line ends beyond ASCII, bidirectional characters and lone surrogates pass `dumps` as they are.
        return escaped(json.dumps({**document, **self.fields(record)}, ensure_ascii=False, default=str))
