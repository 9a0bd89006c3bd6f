"""Paging of the registry API: `n`, `last`, and a host-relative `Link` (OCI distribution spec, "Listing tags").

`last` is a name, not a number, so what is pushed or deleted between two pages loses and repeats nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Request, Response, jsonify

from adapter.errors import InvalidRequest


def cut(incoming: Request, key: str, names: Sequence[str], **others: Any) -> Response:
    """`{<others>, <key>: […]}` with the part of the sorted names that the request asks for.

    Without `n` it is all after `last`. Raises `InvalidRequest`.
    """
    count = count_of(incoming)
    last = incoming.args.get("last")
    first = 0 if last is None else bisect_right(names, last)
    end = len(names) if count is None else first + count
    response = jsonify({**others, key: list(names[first:end])})
    response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    if count and end < len(names):
        query = urlencode({"last": names[end - 1], "n": count})
        response.headers["Link"] = f'<{incoming.path}?{query}>; rel="next"'
    return response


def begins(incoming: Request) -> bool:
    """Whether it is a list's first part that is asked for."""
    return not incoming.args.get("last")


def count_of(incoming: Request) -> int | None:
    """How many are asked for, None for all. Raises `InvalidRequest`."""
    text = incoming.args.get("n")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise InvalidRequest("n must be a whole number from 0")
    return int(text[:10])
