"""Reads SWR's error responses: four shapes → one `ErrorResponse` with SWR's code, message and request ID. Pure.

| shape | sent by | `docs/facts/swr.md` |
|---|---|---|
| `[{"errorCode", "errorMessage", "detail"}]` | management API | §4.12 (DOC) |
| `{"errors": [{"errorCode", "errorMessage"}], "error_code", "error_msg"}` | management API | §4.12 (HW) |
| `{"error_code", "error_msg", "request_id"}` | API gateway | §3.1 (DOC) |
| `{"errors": [{"code", "message", "detail"}]}` | registry, token endpoint | §5, §6 (HW) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.documents import parse_json

_MAX_MESSAGE_LENGTH: Final = 300
_MAX_TYPE_LENGTH: Final = 100
"""Limit of a quoted content type, in characters."""
_OUTER_FIELDS: Final = frozenset({"errorCode", "errorMessage", "error_code", "error_msg"})
_INNER_FIELDS: Final = _OUTER_FIELDS | {"code", "message"}
"""The fields of an error at the top level of a body, and in a list of errors."""
_URL_UNKNOWN: Final = "4040083"
_TRANSIENT: Final = frozenset({"4031032", "4031042", "4090023"})
"""Codes for too many requests, and for busy with another request (`docs/facts/swr.md §4.12`)."""
_GATEWAY_PREFIXES: Final = ("APIG.", "APIGW.")
"""Prefixes of the codes of OTC's API gateway: the first is in the documentation, the second in OTC's responses."""
_ABSENCE_CODES: Final = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_UNKNOWN",
        "NAME_UNKNOWN",
        "NOT_FOUND",
    }
)
"""Codes of registries for absence (OCI distribution spec, "Error Codes"; Harbor's own).

CNCF distribution answers an upload that cannot be continued with 404 and BLOB_UPLOAD_INVALID.
"""
_OTHER_CODES: Final = frozenset(
    {
        "DENIED",
        "DIGEST_INVALID",
        "MANIFEST_INVALID",
        "NAME_INVALID",
        "SIZE_INVALID",
        "TAG_INVALID",
        "TOOMANYREQUESTS",
        "UNAUTHORIZED",
        "UNSUPPORTED",
    }
)
"""Codes of the same specification that mean something other than absence."""
_ABSENCE_PHRASES: Final = ("not exist", "not found", "unknown")


def is_gateway_code(code: str | None) -> bool:
    """Whether an error code is of OTC's API gateway (`docs/facts/swr.md §3.1`), with either prefix."""
    return (code or "").startswith(_GATEWAY_PREFIXES)


@dataclass(frozen=True)
class ErrorResponse:
    """A response that is not 2xx: HTTP status, and SWR's code, message and request ID where the body has them.

    `shaped`: the body has one of SWR's four shapes, whatever the fields hold. `headed`: the headers are a registry's
    (`has_registry_headers`). `retry_after` is in seconds.
    """

    status: int
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    shaped: bool = False
    content_type: str | None = None
    headed: bool = False

    @property
    def number(self) -> str:
        """The digits of `SVCSTG.SWR.4000097`, or an empty string."""
        prefix, _, digits = (self.code or "").rpartition(".")
        return digits if prefix.endswith("SWR") else ""

    @property
    def misdirected(self) -> bool:
        """Whether the code means a wrong address: SWR's code for that (`docs/facts/swr.md §4.12`), or any code of the
        API gateway (§3.1)."""
        return self.number == _URL_UNKNOWN or is_gateway_code(self.code)

    @property
    def transient(self) -> bool:
        """Whether the code means that SWR may accept the request a little later, whatever the status."""
        return self.number in _TRANSIENT

    @property
    def astray(self) -> bool:
        """Whether it is a 404 for the address, which tells nothing about the resource.

        Other servers use other shapes than SWR. SWR's response for a missing repository is documented only in part, so
        a 404 with any other code, or none, counts as one for the resource.
        """
        return self.status == 404 and (self.misdirected or not (self.shaped or self.number))

    @property
    def is_of_registry(self) -> bool:
        """Whether a registry (by body or headers) or SWR (by code) sent the response, and the address was right."""
        return not self.misdirected and bool(self.number or (self.shaped and self.code) or self.headed)

    @property
    def is_absence(self) -> bool:
        """Whether it is a 404 by which a registry, or SWR, reports that the resource is absent.

        SWR's own response for a missing blob or manifest is not known (`docs/facts/swr.md §6`). So a registry's headers
        suffice where the body has no code, and the message where no specification has the code.
        """
        if self.status != 404 or not self.is_of_registry:
            return False
        if self.number:
            return self.number.startswith("404")
        if not (self.shaped and self.code):
            return self.headed
        return self.code in _ABSENCE_CODES or (
            self.code not in _OTHER_CODES and any(self.says(phrase) for phrase in _ABSENCE_PHRASES)
        )

    def says(self, *words: str) -> bool:
        """Whether the message contains all the words, in any case."""
        text = (self.message or "").lower()
        return all(word in text for word in words)

    def details(self) -> dict[str, Any]:
        """Keyword arguments for an `AdapterError`."""
        return {
            "swr_code": self.code,
            "swr_message": self.message,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
        }

    def quoted(self) -> str:
        """SWR's own words, for an error message."""
        said = ": ".join(filter(None, (self.code, self.message)))
        return f"SWR answered {self.status}" + (f" ({said})" if said else "")

    def described(self) -> str:
        """Status, content type and message, for an error about a server that may not be SWR."""
        kind = f"content type {self.content_type}" if self.content_type else "no content type"
        said = ": ".join(filter(None, (self.code, self.message)))
        return f"status {self.status}, {kind}" + (f", {said}" if said else "")


def _entry(document: object) -> Mapping[str, Any]:
    """The first error object of any shape."""
    if isinstance(document, list):
        return _entry(document[0]) if document else {}
    if not isinstance(document, dict):
        return {}
    inner = document.get("errors")
    return {**document, **_entry(inner)} if inner else document


def _is_shaped(document: object) -> bool:
    """Whether the document is an error in one of the four shapes."""
    if isinstance(document, list):
        return bool(document) and isinstance(document[0], dict) and not _INNER_FIELDS.isdisjoint(document[0])
    if not isinstance(document, dict):
        return False
    inner = document.get("errors")
    return not _OUTER_FIELDS.isdisjoint(document) or (isinstance(inner, list) and _is_shaped(inner))


def _first(entry: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:_MAX_MESSAGE_LENGTH]
    return None


def _plain_text(body: bytes, headers: Mapping[str, str]) -> str | None:
    """The body of a text/plain response, as Go's servers and many proxies send it; HTML is useless in one line."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "text/plain":
        return None
    text = " ".join(body.decode(errors="replace").split())
    return text if text.isprintable() else None


def _content_type(headers: Mapping[str, str]) -> str | None:
    kind = headers.get("Content-Type", "").strip()[:_MAX_TYPE_LENGTH]
    return kind if kind and kind.isascii() and kind.isprintable() else None


def has_registry_headers(headers: Mapping[str, str]) -> bool:
    """Whether the headers are a registry's: the version that registries announce (Docker's HTTP API V2, "API Version
    Check"), or a header of SWR (`docs/facts/swr.md §6`).

    The nginx configuration that Docker documents adds the version to nginx's own pages too, so HTML never counts.
    """
    if "html" in headers.get("Content-Type", "").lower():
        return False
    return "Docker-Distribution-Api-Version" in headers or headers.get("forserver", "").strip().lower() == "swr"


def parse_error_response(
    status: int, body: bytes, headers: Mapping[str, str], retry_after: float | None = None
) -> ErrorResponse:
    """Reads any of the four shapes, or plain text as the message; any other body is ignored."""
    try:
        document = parse_json(body)
        entry = _entry(document)
    except (ValueError, RecursionError):
        document, entry = None, {"message": _plain_text(body, headers)}
    return ErrorResponse(
        status,
        _first(entry, "errorCode", "error_code", "code"),
        _first(entry, "errorMessage", "error_msg", "message"),
        _first(entry, "request_id", "requestId") or headers.get("X-Request-Id"),
        retry_after,
        _is_shaped(document),
        _content_type(headers),
        has_registry_headers(headers),
    )
