"""`/v2/<name>/tags/list` (OCI distribution spec, "Listing tags"; `docs/facts/harbor.md D.5, D.8`)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import credentials_of
from adapter.contract.cursor import begins, count_of, cut
from adapter.contract.list_cache import ListCache
from adapter.references import parse_repository
from adapter.swr.client import SwrClient
from adapter.swr.tags import TagLister


def create_blueprint(swr: SwrClient) -> Blueprint:
    """One route; what it lists comes from SWR when a list's first part is asked for."""
    blueprint = Blueprint("tags", __name__)
    lists = TagLister(swr.registry)
    seen: ListCache[str] = ListCache()

    @blueprint.route("/v2/<path:name>/tags/list", methods=["GET"])
    def tags(name: str) -> Response:
        credentials, count = credentials_of(request, swr.regions), count_of(request)
        repository = parse_repository(name)
        found = seen.read(
            credentials,
            str(repository),
            lambda: lists.names(credentials, repository),
            first=begins(request),
            size=count,
        )
        return cut(request, "tags", found, name=str(repository))

    return blueprint
