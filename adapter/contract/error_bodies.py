"""Error responses: OCI's envelope on `/v2`, Harbor's on `/api`.

Harbor prints the body in its task log, which it serves without a charset, and uses the body as a format string there
(`docs/facts/harbor.md D.1`, `J.3`). So the body is one line of ASCII and holds no `%`.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from adapter.contract.auth import CHALLENGE
from adapter.contract.headers import API_VERSION
from adapter.errors import (
    AdapterError,
    CredentialsError,
    InternalError,
    InvalidRequest,
    MethodUnsupported,
    RouteUnknown,
)
from adapter.text import plain

log = logging.getLogger(__name__)

MAX_RETRY_AFTER_SECONDS: Final = 3600.0
"""Highest `Retry-After` of a response in seconds, whatever SWR sent."""


def register_error_handlers(app: Flask) -> None:
    """Turns every exception of a request into an error response."""
    app.register_error_handler(AdapterError, _respond)
    app.register_error_handler(HTTPException, _respond_http)
    app.register_error_handler(Exception, _respond_unhandled)


def _respond(error: AdapterError) -> Response:
    on_v2 = request.path == "/v2" or request.path.startswith("/v2/")
    request_id = str(request.environ.get("adapter.request_id", "-"))
    request.environ["adapter.error"] = f"{type(error).__name__}: {error.sentence}"
    body = oci_body(error, request_id) if on_v2 else harbor_body(error, request_id)
    response = Response(body, error.status, error.headers, content_type="application/json; charset=utf-8")
    if on_v2:
        response.headers.update(API_VERSION)
        if isinstance(error, CredentialsError):
            response.headers["WWW-Authenticate"] = CHALLENGE
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(min(error.retry_after, MAX_RETRY_AFTER_SECONDS))))
    # The server would take the rest of an unread body for the next request.
    if (request.content_length or "Transfer-Encoding" in request.headers) and "adapter.force_close" in request.environ:
        request.environ["adapter.force_close"]()
    return response


def _respond_http(error: HTTPException) -> Response:
    """Flask's own errors: unknown paths, unsupported methods, malformed requests."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or []))
        return _respond(
            MethodUnsupported(
                f"{request.method} is not supported on this path: use {allowed}", headers={"Allow": allowed}
            )
        )
    if error.code == 404:
        return _respond(
            RouteUnknown(
                "path not found: enter the Endpoint URL without a path (this port serves only Harbor's replication "
                "API, /v2 and /api)"
            )
        )
    if (error.code or 500) >= 500:
        return _respond_unhandled(error)
    return _respond(
        InvalidRequest(
            f"malformed HTTP request ({error.name}): check whether a proxy between Harbor and the adapter changes "
            "requests"
        )
    )


def _respond_unhandled(error: Exception) -> Response:
    log.exception("unhandled exception", exc_info=error)
    return _respond(
        InternalError("internal error in the adapter: search its log for this request ID and report the traceback")
    )


def oci_body(error: AdapterError, request_id: str) -> bytes:
    """`{"errors":[{"code","message","detail"}]}`; `detail` has SWR's own code, message and request ID."""
    detail = {
        "request_id": request_id,
        "swr_code": error.swr_code,
        "swr_message": error.swr_message,
        "swr_request_id": error.request_id,
    }
    shown = {key: plain(value) for key, value in detail.items() if value}
    return _dump({"code": error.code, "message": plain(error.sentence), "detail": shown})


def harbor_body(error: AdapterError, request_id: str) -> bytes:
    """`{"errors":[{"code","message"}]}` (`docs/facts/harbor.md A.5`); the message ends with the request IDs."""
    ids = f"request ID {request_id}" + (f", SWR request ID {error.request_id}" if error.request_id else "")
    return _dump({"code": error.code, "message": plain(f"{error.sentence} [{ids}]")})


def _dump(entry: dict[str, Any]) -> bytes:
    return json.dumps({"errors": [entry]}, separators=(",", ":")).encode()
