"""Tag lists (OCI distribution spec, "Listing tags") and the catalog (`docs/facts/harbor.md D.5, D.8`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Request, Response, jsonify, request

from adapter.contract.auth import credentials_of, repository_of
from adapter.contract.headers import API_VERSION
from adapter.contract.list_cache import ListCache
from adapter.credentials import Credentials
from adapter.errors import InvalidRequest
from adapter.swr.client import SwrClient


def create_blueprint(swr: SwrClient) -> Blueprint:
    """The tags of a repository, and all repositories that the access key can see."""
    blueprint = Blueprint("tags", __name__)
    tag_lists: ListCache[str] = ListCache()
    catalogs: ListCache[str] = ListCache()

    @blueprint.route("/v2/<path:name>/tags/list", methods=["GET"])
    def tags(name: str) -> Response:
        repository, limit = repository_of(request, swr, name), limit_of(request)
        names = tag_lists.read(
            repository.credentials,
            str(repository),
            lambda: swr.tag_lister.names(repository),
            first=is_first_page(request),
            size=limit,
        )
        return page_response(request, "tags", names, name=str(repository))

    @blueprint.route("/v2/_catalog", methods=["GET"])
    def catalog() -> Response:
        credentials, limit = credentials_of(request, swr.regions), limit_of(request)
        names = catalogs.read(
            credentials,
            "catalog",
            lambda: _repository_names(swr, credentials),
            first=is_first_page(request),
            size=limit,
        )
        return page_response(request, "repositories", names)

    return blueprint


def _repository_names(swr: SwrClient, credentials: Credentials) -> list[str]:
    return sorted({str(each.repository) for each in swr.catalog.repositories(credentials, None)})


def page_response(incoming: Request, key: str, names: Sequence[str], **others: Any) -> Response:
    """`{<others>, <key>: [...]}` with the page of the sorted names that the request selects.

    Without `n` the page has all names after `last`. Raises `InvalidRequest`.
    """
    limit = limit_of(incoming)
    last = incoming.args.get("last")
    start = 0 if last is None else bisect_right(names, last)
    end = len(names) if limit is None else start + limit
    response = jsonify({**others, key: list(names[start:end])})
    response.headers.update(API_VERSION)
    if limit and end < len(names):
        query = urlencode({"last": names[end - 1], "n": limit})
        response.headers["Link"] = f'<{incoming.path}?{query}>; rel="next"'
    return response


def is_first_page(incoming: Request) -> bool:
    """Whether the request begins a list."""
    return not incoming.args.get("last")


def limit_of(incoming: Request) -> int | None:
    """The parameter `n`, None without it. Raises `InvalidRequest`."""
    text = incoming.args.get("n")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise InvalidRequest("n must be an integer, 0 or greater")
    return int(text[:10])
