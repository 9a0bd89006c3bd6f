"""Headers on their way through the door. Pure."""

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
_SERVERS_OWN: Final = frozenset({"date", "server"})
"""The server puts these into each answer, and would put them in twice."""
_LOOK_UP: Final = frozenset({"cookie", "authorization", "host", "user-agent", "x-real-ip", "x-request-id"})


def _connection(headers: Headers) -> set[str]:
    """What `Connection` names belongs to this hop too."""
    values = (value for name, value in headers if name.lower() == "connection")
    return {token.strip().lower() for value in values for token in value.split(",")}


def _without(headers: Headers, dropped: Iterable[str]) -> Headers:
    left_out = _HOP_BY_HOP.union(_connection(headers), dropped)
    return [(name, value) for name, value in headers if name.lower() not in left_out]


def to_core(headers: Headers, *, plain: bool) -> Headers:
    """A request's headers; `plain`: core must not compress its answer."""
    return _without(headers, {"content-length", "expect", *({"accept-encoding"} if plain else ())})


def look_up(headers: Headers) -> Headers:
    """The headers of a look-up of the door's own: whoever asks, core must see the same caller."""
    kept = [
        (name, value) for name, value in headers if name.lower() in _LOOK_UP or name.lower().startswith("x-forwarded-")
    ]
    return [*kept, ("Accept", "application/json")]


def to_client(headers: Headers, length: int | None = None) -> Headers:
    """An answer's headers; `length` is the body's where it is known better than core told."""
    if length is None:
        return _without(headers, _SERVERS_OWN)
    return [*_without(headers, {*_SERVERS_OWN, "content-length"}), ("Content-Length", str(length))]


def first(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)


def is_plain_json(headers: Headers) -> bool:
    """Whether the body is JSON, and nothing was done to it."""
    kind = (first(headers, "content-type") or "").partition(";")[0].strip().lower()
    coding = (first(headers, "content-encoding") or "identity").strip().lower()
    return kind == "application/json" and coding == "identity"
