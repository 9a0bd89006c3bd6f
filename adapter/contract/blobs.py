"""`/v2/<name>/blobs/<digest>` (OCI distribution spec, "Pulling blobs")."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.caller import identity_of
from adapter.names import check_digest, parse_repository
from adapter.swr.client import SwrClient
from adapter.transfer.download import Download
from adapter.transfer.slots import Slots


def create_blueprint(swr: SwrClient, slots: Slots) -> Blueprint:
    """HEAD, and GET with Range."""
    blueprint = Blueprint("blobs", __name__)

    @blueprint.route("/v2/<path:name>/blobs/<digest>", methods=["GET"])
    def get(name: str, digest: str) -> Response:
        identity = identity_of(request, swr.regions)
        repository, digest = parse_repository(name), check_digest(digest)
        if request.method == "HEAD":
            found = swr.registry.blob(identity, repository, digest)
            response = _described(Response(b"", content_type="application/octet-stream"), digest)
            # Better none than a wrong one: Harbor then takes the size from the manifest.
            response.headers.pop("Content-Length", None)
            if found.length is not None:
                response.headers["Content-Length"] = str(found.length)
            return response
        slot = slots.take()
        try:
            upstream = swr.registry.open_blob(identity, repository, digest, request.headers.get("Range"))
            response = _streamed(Download(upstream, request.environ.get("gunicorn.socket")))
        except BaseException:
            slot.release()
            raise
        response.call_on_close(slot.release)
        return _described(response, digest)

    return blueprint


def _described(response: Response, digest: str) -> Response:
    response.headers["Docker-Content-Digest"] = digest
    response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    response.headers.setdefault("Accept-Ranges", "bytes")
    return response


def _streamed(download: Download) -> Response:
    response = Response(iter(download), download.status)
    response.headers.pop("Content-Type", None)
    response.headers.extend({"Content-Type": "application/octet-stream"} | download.headers)
    response.call_on_close(download.close)
    return response
