"""`/probe/healthy` and `/probe/ready` for the container runtime. A probe sends no request to SWR: the adapter must not
be restarted because SWR is slow."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from adapter import __version__
from adapter.swr.client import SwrClient


def create_operations_app(swr: SwrClient) -> Flask:
    """`healthy`: the process serves requests. `ready`: the process is configured for the listed regions."""
    app = Flask("adapter.operations", static_folder=None)

    @app.get("/probe/healthy")
    def healthy() -> Response:
        return jsonify({"status": "healthy", "version": __version__})

    @app.get("/probe/ready")
    def ready() -> Response:
        return jsonify({"status": "ready", "regions": sorted(swr.regions)})

    return app
