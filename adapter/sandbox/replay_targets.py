"""Targets of replayed requests, as Harbor derives them from earlier responses of the peer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote_to_bytes, urlsplit

from adapter.sandbox.recording import Request

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class ReplayError(Exception):
    """An exchange cannot be sent; the message says what is missing."""


def mounted_digest(request: Request) -> bytes | None:
    """The digest of the blob that the request mounts; None for any other request."""
    query = dict(parse_query(request.query))
    return query.get(b"mount") if request.method == "POST" and b"from" in query else None


def mount_target(request: Request, source: str | None) -> str:
    """The target of the request with the source repository that the peer found, instead of the recorded one.

    :raises ReplayError: when the peer found no repository: Harbor then requests no mount (docs/facts/harbor.md D.4).
    """
    if source is None:
        raise ReplayError("no repository given to mount from")
    query = re.sub(r"(?:^|(?<=&))from=[^&]*", lambda _: f"from={quote(source)}", request.query)
    return f"{request.path}?{query}"


def next_page(link: str | None) -> str | None:
    """The target of the next page; None on the last page (docs/facts/harbor.md D.4)."""
    found = re.search(r'<([^>]*)>; *rel="next"', link or "")
    return found[1] if found else None


def next_target(location: str, url: str, digest: bytes | None) -> str:
    """The target of the next request: the Location, with `digest` in its query if given (docs/facts/harbor.md D.1).

    :param url: the endpoint that a relative Location refers to.
    :raises ReplayError: when the Location is invalid, or points to another host, which gets no credentials from Harbor.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        raise ReplayError("the Location is not a valid URL") from None
    if parts.scheme and f"{parts.scheme}://{parts.netloc}" != url:
        raise ReplayError(f"the Location points outside {url}")
    if not parts.path.startswith("/") or not location.isascii():
        raise ReplayError("the Location is not a path of the endpoint")
    query = parts.query
    if digest is not None:
        query = encode_query([*(pair for pair in parse_query(query) if pair[0] != b"digest"), (b"digest", digest)])
    return f"{parts.path}?{query}" if query else parts.path


def parse_query(query: str) -> list[tuple[bytes, bytes]]:
    """Parses a query as Go `url.ParseQuery`: drops pairs that contain a `;` or an invalid escape."""
    pairs = []
    for part in query.split("&"):
        if not part or ";" in part or _BAD_ESCAPE.search(part):
            continue
        key, _, value = part.partition("=")
        pairs.append((unquote_to_bytes(key.replace("+", " ")), unquote_to_bytes(value.replace("+", " "))))
    return pairs


def encode_query(pairs: Iterable[tuple[bytes, bytes]]) -> str:
    """Encodes a query as Go `url.Values.Encode`: sorted by key, values of a key in their order, `+` for a space."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    return "&".join(f"{quote_plus(key, safe='')}={quote_plus(value, safe='')}" for key, value in ordered)
