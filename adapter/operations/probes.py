"""`/probe/healthy` and `/probe/ready` for whoever runs the container. SWR is never asked here: an adapter that restarts
because SWR is slow helps nobody."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from adapter import __version__
from adapter.swr.client import SwrClient


def create_operations_app(swr: SwrClient) -> Flask:
    """`healthy`: the process serves requests. `ready`: it is configured for these regions."""
    app = Flask("adapter.operations", static_folder=None)

    @app.get("/probe/healthy")
    def healthy() -> Response:
        return jsonify({"status": "healthy", "version": __version__})

    @app.get("/probe/ready")
    def ready() -> Response:
        return jsonify({"status": "ready", "regions": sorted(swr.regions)})

    return app
