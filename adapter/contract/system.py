"""What Harbor asks before anything else: version, ping, health and labels (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import contextlib

from flask import Blueprint, Response, jsonify, request

from adapter.contract.auth import credentials_of
from adapter.contract.responses import harbor_body
from adapter.errors import CredentialsError, Throttled, UpstreamError
from adapter.swr.client import SwrClient
from adapter.swr.retry import BEST_EFFORT


def create_blueprint(swr: SwrClient) -> Blueprint:
    """Four routes of Harbor's own API."""
    blueprint = Blueprint("ping", __name__)

    @blueprint.route("/api/version", methods=["GET"])
    def version() -> Response:
        try:
            credentials_of(request, swr.regions)
        except CredentialsError as error:
            # 400, not 401: Harbor takes "nothing entered" together with 401 for healthy.
            body = harbor_body(error, str(request.environ.get("adapter.request_id", "-")))
            return Response(body, 400, content_type="application/json; charset=utf-8")
        return jsonify({"version": "v2.0"})

    @blueprint.route("/api/v2.0/ping", methods=["GET"])
    def ping() -> Response:
        return Response("Pong", content_type="text/plain; charset=utf-8")

    @blueprint.route("/api/v2.0/health", methods=["GET"])
    def health() -> Response:
        return jsonify({"status": "healthy", "components": [{"name": "core", "status": "healthy"}]})

    @blueprint.route("/api/v2.0/labels", methods=["GET"])
    def labels() -> Response:
        """SWR has none. Harbor asks at the start of each run, so credentials that fail are told here with the reason,
        and so is a management API that a health check has found out of reach. A registry out of reach is for the
        requests that need it."""
        credentials = credentials_of(request, swr.regions)
        reached = False
        with contextlib.suppress(UpstreamError, Throttled):
            swr.tokens.confirm(credentials, BEST_EFFORT)
            reached = True
        if reached:
            swr.report_outage(credentials)
        response = jsonify([])
        response.headers["X-Total-Count"] = "0"
        return response

    return blueprint


def create_registry_blueprint(swr: SwrClient) -> Blueprint:
    """One route; without credentials SWR is not asked."""
    blueprint = Blueprint("registry", __name__)

    @blueprint.route("/v2/", methods=["GET"])
    def check() -> Response:
        swr.check(credentials_of(request, swr.regions))
        response = Response(b"{}", content_type="application/json")
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response

    return blueprint
