"""SWR responses: JSON, and SWR's error formats (docs/facts/swr.md §4.12, §5)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from flask import Response


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Response(body, status, headers, content_type="application/json; charset=utf-8")


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A response without body and Content-Type."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


def registry_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The error format of the registry; `detail` is present and empty (docs/facts/swr.md §10)."""
    return as_json({"errors": [{"code": code, "message": message, "detail": ""}]}, status, headers)


def denied(message: str) -> Response:
    """SWR returns 401 where other registries return 403 or 404 (docs/facts/swr.md §5)."""
    return registry_error(401, "DENIED", message)


NO_ORGANIZATION = "Image organization does not exist"
NO_PERMISSION = "you do not have the permission"

MESSAGES = {
    "SVCSTG.S2I.4019000": "There is no token or AK/SK in the request",
    "SVCSTG.SWR.4010000": "Authentication failed",
    "SVCSTG.SWR.4000014": "Invalid API parameters",
    "SVCSTG.SWR.4000056": "Invalid page size",
    "SVCSTG.SWR.4000097": "The number of organizations exceeds the quota",
    "SVCSTG.SWR.4001018": "Invalid request body",
    "SVCSTG.SWR.4001028": "Invalid organization name",
    "SVCSTG.SWR.4039001": "The resource does not belong to you",
    "SVCSTG.SWR.4039002": "You do not have the permission for this operation",
    "SVCSTG.SWR.4040009": "The image list does not exist",
    "SVCSTG.SWR.4041057": "The image tag list does not exist",
    "SVCSTG.SWR.4040058": "The organization does not exist",
    "SVCSTG.SWR.4040048": "The image tag does not exist",
    "SVCSTG.SWR.4040083": "The URL does not exist",
    "SVCSTG.SWR.4040113": "The image does not exist",
    "SVCSTG.SWR.4060012": "The image repository is not empty",
    "SVCSTG.SWR.4060074": "The organization still has images",
    "SVCSTG.SWR.4090060": "The organization already exists",
    "SVCSTG.SWR.4130025": "The file is too large",
    "SVCSTG.SWR.5000001": "Internal error",
}


def swr_error(code: str, shape: str = "array") -> Response:
    """The error format of the management API: an array, or an object as was also seen. `code` contains the status."""
    status = int(code.rpartition(".")[2][:3])
    entry = {"errorCode": code, "errorMessage": MESSAGES[code], "detail": ""}
    if shape == "array":
        return as_json([entry], status)
    return as_json({"errors": [entry], "error_code": code, "error_msg": MESSAGES[code]}, status)


def gateway_error(message: str, prefix: str) -> Response:
    """The error format of the gateway in front of the management API (docs/facts/swr.md §3.1)."""
    return as_json({"error_msg": message, "error_code": f"{prefix}.0301", "request_id": uuid.uuid4().hex}, 401)
