"""`/v2/`: the challenge, and the check that an endpoint's health rests on (`docs/facts/harbor.md D.1, D.4`)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import credentials_of
from adapter.swr.client import SwrClient


def create_blueprint(swr: SwrClient) -> Blueprint:
    """One route; without credentials SWR is not asked."""
    blueprint = Blueprint("registry", __name__)

    @blueprint.route("/v2/", methods=["GET"])
    def check() -> Response:
        swr.check(credentials_of(request, swr.regions))
        response = Response(b"{}", content_type="application/json")
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response

    return blueprint
