"""Headers of requests and responses that pass through the provider port. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Headers = list[tuple[str, str]]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110 section 7.6.1."""
_SET_BY_SERVER: Final = frozenset({"date", "server"})
"""gunicorn adds these to each response."""
_LOOKUP: Final = frozenset({"cookie", "authorization", "host", "user-agent", "x-real-ip", "x-request-id"})


def _named_in_connection(headers: Headers) -> set[str]:
    """Header names that `Connection` declares hop-by-hop."""
    values = (value for name, value in headers if name.lower() == "connection")
    return {token.strip().lower() for value in values for token in value.split(",")}


def _without(headers: Headers, names: Iterable[str]) -> Headers:
    dropped = _HOP_BY_HOP.union(_named_in_connection(headers), names)
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def to_core(headers: Headers, *, uncompressed: bool) -> Headers:
    """The headers of a request. `uncompressed`: core must not compress its response."""
    return _without(headers, {"content-length", "expect", *({"accept-encoding"} if uncompressed else ())})


def for_lookup(headers: Headers) -> Headers:
    """The headers of a lookup, by which core recognizes the caller of the original request."""
    caller = [
        (name, value) for name, value in headers if name.lower() in _LOOKUP or name.lower().startswith("x-forwarded-")
    ]
    return [*caller, ("Accept", "application/json")]


def to_client(headers: Headers, length: int | None = None) -> Headers:
    """The headers of a response. `length` is the body's in bytes, if it replaces that of core."""
    if length is None:
        return _without(headers, _SET_BY_SERVER)
    return [*_without(headers, {*_SET_BY_SERVER, "content-length"}), ("Content-Length", str(length))]


def first(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def is_plain_json(headers: Headers) -> bool:
    """Whether the body is JSON without a content coding."""
    media_type = (first(headers, "content-type") or "").partition(";")[0].strip().lower()
    coding = (first(headers, "content-encoding") or "identity").strip().lower()
    return media_type == "application/json" and coding == "identity"
