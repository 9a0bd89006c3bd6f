"""Resolves and checks a `Location` header of SWR. Pure."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from adapter.errors import Unexpected


def resolve(base: str, location: str | None) -> SplitResult:
    """The absolute URL of a `Location`, which may be relative to `base`. Raises `Unexpected`."""
    if not location:
        raise Unexpected("SWR's response has no Location header: report this")
    try:
        parts = urlsplit(urljoin(base, location))
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.username is not None or not location.isprintable() or not location.isascii():
        raise Unexpected("SWR's response has an invalid Location header: report this")
    return parts
