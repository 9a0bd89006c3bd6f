"""Bodies of errors: OCI's envelope on `/v2`, Harbor's on `/api`. Pure.

Harbor prints the body in its task log and uses it as a format there (`docs/facts/harbor.md D.1`), so it is one line,
holds no `%`, and is not ASCII-escaped.
"""

from __future__ import annotations

import json
from typing import Any, Final

from adapter.errors import AdapterError

_PERCENT: Final = "％"


def _line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split()).replace("%", _PERCENT)


def _dump(entry: dict[str, Any]) -> bytes:
    return json.dumps({"errors": [entry]}, ensure_ascii=False, separators=(",", ":")).encode()


def oci_body(error: AdapterError, request_id: str) -> bytes:
    """`{"errors":[{"code","message","detail"}]}`; `detail` has SWR's own code, words and request id."""
    detail = {
        "request_id": request_id,
        "swr_code": error.swr_code,
        "swr_message": error.swr_message,
        "swr_request_id": error.request_id,
    }
    shown = {key: _line(value) for key, value in detail.items() if value}
    return _dump({"code": error.code, "message": _line(error.sentence), "detail": shown})


def harbor_body(error: AdapterError, request_id: str) -> bytes:
    """`{"errors":[{"code","message"}]}` (`docs/facts/harbor.md A.5`); the ids stand at the end of the message."""
    ids = [f"request {request_id}"] + ([f"SWR's request {error.request_id}"] if error.request_id else [])
    message = f"{error.sentence} [{', '.join(ids)}]"
    return _dump({"code": error.code, "message": _line(message)})
