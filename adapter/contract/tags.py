"""`/v2/<name>/tags/list` (OCI distribution spec, "Listing tags"; `docs/facts/harbor.md D.5, D.8`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Request, Response, jsonify, request

from adapter.contract.auth import credentials_of, repository_of
from adapter.contract.list_cache import ListCache
from adapter.credentials import Credentials
from adapter.errors import InvalidRequest
from adapter.swr.client import SwrClient


def create_blueprint(swr: SwrClient) -> Blueprint:
    """One route; what it lists comes from SWR when a list's first part is asked for."""
    blueprint = Blueprint("tags", __name__)
    seen: ListCache[str] = ListCache()

    @blueprint.route("/v2/<path:name>/tags/list", methods=["GET"])
    def tags(name: str) -> Response:
        repository, count = repository_of(request, swr, name), count_of(request)
        found = seen.read(
            repository.credentials,
            str(repository),
            lambda: swr.tag_lister.names(repository),
            first=begins(request),
            size=count,
        )
        return cut(request, "tags", found, name=str(repository))

    return blueprint


def create_catalog_blueprint(swr: SwrClient) -> Blueprint:
    """One route: every repository that the account sees (`docs/facts/harbor.md D.5`)."""
    blueprint = Blueprint("catalog", __name__)
    seen: ListCache[str] = ListCache()

    @blueprint.route("/v2/_catalog", methods=["GET"])
    def catalog() -> Response:
        credentials, count = credentials_of(request, swr.regions), count_of(request)
        found = seen.read(credentials, "catalog", lambda: _names(swr, credentials), first=begins(request), size=count)
        return cut(request, "repositories", found)

    return blueprint


def _names(swr: SwrClient, credentials: Credentials) -> list[str]:
    return sorted({str(each.repository) for each in swr.catalog.repositories(credentials, None)})


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
