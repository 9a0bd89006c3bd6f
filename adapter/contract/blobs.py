"""`/v2/<name>/blobs/<digest>` (OCI distribution spec, "Pulling blobs")."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import repository_of
from adapter.contract.concurrency import Slot, Slots, release_request_slot
from adapter.contract.headers import API_VERSION, empty_response
from adapter.errors import Unexpected
from adapter.references import check_digest
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.tokens import PULL
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.download import Download, requested_range
from adapter.transfer.request_body import BLOB


def create_blueprint(swr: SwrClient, slots: Slots, locations: BlobLocations, redirects: str) -> Blueprint:
    """HEAD, and GET with Range. `redirects` is `pass` to redirect clients to SWR's object store, or `follow`."""
    blueprint = Blueprint("blobs", __name__)
    open_or_locate = swr.registry.blob_place if redirects == "pass" else swr.registry.open_blob

    @blueprint.route("/v2/<path:name>/blobs/<digest>", methods=["GET"])
    def get(name: str, digest: str) -> Response:
        repository, digest = repository_of(request, swr, name), check_digest(digest)
        if request.method == "HEAD":
            with locations.recording(repository, digest):
                blob = swr.registry.blob(repository, digest)
            return _with_blob_headers(_head(blob.length), digest)
        # Only a client with permission to pull reserves a slot.
        swr.registry.authorize(repository, PULL)
        with _Transfer(slots.reserve(repository.credentials)) as transfer:
            release_request_slot()
            with locations.recording(repository, digest):
                byte_range = requested_range(request.headers.get("Range"), request.headers.get("If-Range"), digest)
                blob_or_url = open_or_locate(repository, digest, byte_range)
            if isinstance(blob_or_url, str):
                # Anyone with the URL can read the blob until it expires.
                return empty_response(307, {"Location": blob_or_url, "Cache-Control": "no-store"})
            environ = request.environ
            download = Download(blob_or_url, environ.get("gunicorn.socket"), environ.get("adapter.sent"))
            transfer.start(download)
            _require_length(swr, repository, digest, download)
            if "adapter.begin_response" in environ:
                # Harbor may be throttled, as for an upload.
                environ["adapter.begin_response"](BLOB)
            return _with_blob_headers(transfer.response(), digest)

    return blueprint


def _require_length(swr: SwrClient, repository: Repository, digest: str, download: Download) -> None:
    """Raises `Unexpected` if the client could not tell a truncated download from a complete one."""
    if download.is_whole_blob and download.length is None:
        # Harbor's proxy cache stores a blob without Content-Length as empty (`docs/facts/harbor.md D.8`).
        download.length = swr.registry.blob(repository, digest).length
    if not download.has_explicit_end:
        raise Unexpected(
            "SWR sent a blob without Content-Length, so a truncated download could not be detected: report this"
        )


def _head(length: int | None) -> Response:
    """If SWR does not send the length, the response has none: Harbor then takes the size from the manifest."""
    response = Response(b"", content_type="application/octet-stream")
    response.automatically_set_content_length = False
    response.headers.pop("Content-Length", None)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    return response


def _with_blob_headers(response: Response, digest: str) -> Response:
    response.headers["Docker-Content-Digest"] = digest
    response.headers.update(API_VERSION)
    response.headers.setdefault("Accept-Ranges", "bytes")
    return response


class _Transfer:
    """The slot of a download and SWR's open response.

    Both are released after the client has received the last byte, or at the end of the `with` block if no response was
    made.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._download: Download | None = None
        self._responded = False

    def __enter__(self) -> _Transfer:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._responded:
            self._release()

    def start(self, download: Download) -> None:
        """Takes over SWR's response, which it closes."""
        self._download = download

    def response(self) -> Response:
        """The response to the client. It reads nothing of SWR's response before the client receives it."""
        download = self._download
        assert download is not None  # noqa: S101 - `start` was called
        response = Response(iter(download), download.status)
        response.headers.pop("Content-Type", None)
        response.headers.extend({"Content-Type": "application/octet-stream"} | download.headers)
        response.call_on_close(self._release)
        self._responded = True
        return response

    def _release(self) -> None:
        try:
            if self._download is not None:
                self._download.close()
        finally:
            self._slot.release()
