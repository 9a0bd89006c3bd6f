"""`/api/v2.0/repositories`: Harbor asks where a blob is before it uploads it (`docs/facts/harbor.md D.4`, mount)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.caller import identity_of
from adapter.contract.paging import paged
from adapter.swr.client import SwrClient


def create_blueprint(swr: SwrClient) -> Blueprint:
    """One route that names no repository: Harbor takes any 2xx to a mount for mounted, so it is not invited to one."""
    blueprint = Blueprint("artifacts", __name__)

    @blueprint.route("/api/v2.0/repositories", methods=["GET"])
    def repositories() -> Response:
        identity_of(request, swr.regions)
        nothing: list[str] = []
        return paged(request, nothing)

    return blueprint
