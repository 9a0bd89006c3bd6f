"""Bodies of errors: OCI's envelope on `/v2`, Harbor's on `/api`. Pure.

Harbor prints the body in its task log, which it serves without a charset, and uses it as a format there
(`docs/facts/harbor.md D.1`, `J.3`): so it is one line of ASCII and holds no `%`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response

from adapter.errors import AdapterError
from adapter.text import plain


def _dump(entry: dict[str, Any]) -> bytes:
    return json.dumps({"errors": [entry]}, separators=(",", ":")).encode()


def oci_body(error: AdapterError, request_id: str) -> bytes:
    """`{"errors":[{"code","message","detail"}]}`; `detail` has SWR's own code, words and request id."""
    detail = {
        "request_id": request_id,
        "swr_code": error.swr_code,
        "swr_message": error.swr_message,
        "swr_request_id": error.request_id,
    }
    shown = {key: plain(value) for key, value in detail.items() if value}
    return _dump({"code": error.code, "message": plain(error.sentence), "detail": shown})


def harbor_body(error: AdapterError, request_id: str) -> bytes:
    """`{"errors":[{"code","message"}]}` (`docs/facts/harbor.md A.5`); the ids stand at the end of the message."""
    ids = [f"request {request_id}"] + ([f"SWR's request {error.request_id}"] if error.request_id else [])
    message = f"{error.sentence} [{', '.join(ids)}]"
    return _dump({"code": error.code, "message": plain(message)})


def bodiless(status: int, headers: Mapping[str, str], *, on_v2: bool = True) -> Response:
    """An answer without content, and so without a content type: Flask would claim HTML."""
    response = Response(status=status, headers=dict(headers))
    response.headers.pop("Content-Type", None)
    if on_v2:
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    return response
