"""Where a played request goes: what a recorded Harbor would have made of the answers that this peer gave. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote_to_bytes, urlsplit

from adapter.sandbox.recording import Request

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class PlayError(Exception):
    """Why an exchange cannot be sent: the text says what is missing."""


def asked_mount(request: Request) -> bytes | None:
    """The digest of the blob that the request wants mounted; None for any other request."""
    query = dict(parse_query(request.query))
    return query.get(b"mount") if request.method == "POST" and b"from" in query else None


def mount_target(request: Request, source: str | None) -> str:
    """The request's target with the repository that this peer named in place of the recorded one.

    :raises PlayError: when it named none: Harbor then does not ask for a mount (docs/facts/harbor.md D.4).
    """
    if source is None:
        raise PlayError("no repository was named to mount from")
    query = re.sub(r"(?:^|(?<=&))from=[^&]*", lambda _: f"from={quote(source)}", request.query)
    return f"{request.path}?{query}"


def next_page(link: str | None) -> str | None:
    """The target of the next page, if there is one (docs/facts/harbor.md D.4)."""
    found = re.search(r'<([^>]*)>; *rel="next"', link or "")
    return found[1] if found else None


def next_target(location: str, url: str, digest: bytes | None) -> str:
    """Where Harbor goes next: the Location as it is, or with `digest` in its query (docs/facts/harbor.md D.1).

    :param url: the endpoint; a relative Location is one of its own.
    :raises PlayError: when the Location leads to another host, where Harbor would go without credentials, or nowhere.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        raise PlayError("the Location is no URL") from None
    if parts.scheme and f"{parts.scheme}://{parts.netloc}" != url:
        raise PlayError(f"the Location leads away from {url}")
    if not parts.path.startswith("/") or not location.isascii():
        raise PlayError("the Location is no path of the endpoint")
    query = parts.query
    if digest is not None:
        query = encode_query([*(pair for pair in parse_query(query) if pair[0] != b"digest"), (b"digest", digest)])
    return f"{parts.path}?{query}" if query else parts.path


def parse_query(query: str) -> list[tuple[bytes, bytes]]:
    """As Go's `url.ParseQuery`: what is badly escaped or holds a `;` is dropped."""
    pairs = []
    for part in query.split("&"):
        if not part or ";" in part or _BAD_ESCAPE.search(part):
            continue
        key, _, value = part.partition("=")
        pairs.append((unquote_to_bytes(key.replace("+", " ")), unquote_to_bytes(value.replace("+", " "))))
    return pairs


def encode_query(pairs: Iterable[tuple[bytes, bytes]]) -> str:
    """As Go's `url.Values.Encode`: sorted by key, values of one key in their order, a space is `+`."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    return "&".join(f"{quote_plus(key, safe='')}={quote_plus(value, safe='')}" for key, value in ordered)
