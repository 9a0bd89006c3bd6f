"""What Harbor requests before anything else: version, ping, health, labels and `/v2/` (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from adapter.contract.auth import credentials_of
from adapter.contract.error_bodies import harbor_body
from adapter.contract.headers import API_VERSION
from adapter.errors import CredentialsError, Throttled, UpstreamError
from adapter.swr.client import SwrClient
from adapter.swr.retry import BEST_EFFORT


def create_blueprint(swr: SwrClient) -> Blueprint:
    """Four routes of Harbor's own API, and the check of credentials on `/v2/`."""
    blueprint = Blueprint("system", __name__)

    @blueprint.route("/api/version", methods=["GET"])
    def version() -> Response:
        try:
            credentials_of(request, swr.regions)
        except CredentialsError as error:
            # 400, not 401: Harbor reports an endpoint without credentials as healthy if it responds with 401.
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
        """SWR has no labels.

        Harbor requests them at the start of each run. So this route reports rejected credentials, and an outage of the
        management API that a health check has found. It does not report that the registry is unreachable: the requests
        that need the registry do.
        """
        credentials = credentials_of(request, swr.regions)
        try:
            swr.tokens.confirm(credentials, BEST_EFFORT)
        except (UpstreamError, Throttled):
            pass
        else:
            swr.report_outage(credentials)
        response = jsonify([])
        response.headers["X-Total-Count"] = "0"
        return response

    @blueprint.route("/v2/", methods=["GET"])
    def check() -> Response:
        """Without credentials nothing is sent to SWR."""
        swr.check(credentials_of(request, swr.regions))
        return Response(b"{}", content_type="application/json", headers=API_VERSION)

    return blueprint
