"""`/v2/<name>/tags/list` (OCI distribution spec, "Listing tags"; `docs/facts/harbor.md D.5, D.8`)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.caller import identity_of
from adapter.contract.cursor import cut
from adapter.names import parse_repository
from adapter.swr.client import SwrClient
from adapter.swr.tag_lists import TagLists


def create_blueprint(swr: SwrClient) -> Blueprint:
    """One route; what SWR lists is asked anew for each page."""
    blueprint = Blueprint("tags", __name__)
    lists = TagLists(swr.registry)

    @blueprint.route("/v2/<path:name>/tags/list", methods=["GET"])
    def tags(name: str) -> Response:
        identity = identity_of(request, swr.regions)
        repository = parse_repository(name)
        return cut(request, "tags", lists.names(identity, repository), name=str(repository))

    return blueprint
