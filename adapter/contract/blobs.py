"""`/v2/<name>/blobs/<digest>` (OCI distribution spec, "Pulling blobs")."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import repository_of
from adapter.contract.concurrency import Slot, Slots, become_transfer
from adapter.contract.responses import bodiless
from adapter.errors import Unexpected
from adapter.references import check_digest
from adapter.swr.client import SwrClient
from adapter.swr.tokens import PULL
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.download import Download, requested_range
from adapter.transfer.request_body import BLOB


def create_blueprint(swr: SwrClient, slots: Slots, locations: BlobLocations, redirects: str) -> Blueprint:
    """HEAD, and GET with Range. `redirects` is `pass` to send clients to SWR's object store themselves, or `follow`."""
    blueprint = Blueprint("blobs", __name__)

    @blueprint.route("/v2/<path:name>/blobs/<digest>", methods=["GET"])
    def get(name: str, digest: str) -> Response:
        repository, digest = repository_of(request, swr, name), check_digest(digest)
        if request.method == "HEAD":
            with locations.recording(repository, digest):
                found = swr.registry.blob(repository, digest)
            return _described(_head(found.length), digest)
        # A stranger takes no place.
        swr.registry.authorize(repository, PULL)
        ask = swr.registry.blob_place if redirects == "pass" else swr.registry.open_blob
        with _Transfer(slots.take(repository.credentials)) as transfer:
            become_transfer()
            with locations.recording(repository, digest):
                wanted = requested_range(request.headers.get("Range"), request.headers.get("If-Range"), digest)
                place = ask(repository, digest, wanted)
            if isinstance(place, str):
                # It opens the blob to whoever has it, for a while.
                return bodiless(307, {"Location": place, "Cache-Control": "no-store"})
            environ = request.environ
            download = transfer.begun(Download(place, environ.get("gunicorn.socket"), environ.get("adapter.sent")))
            if download.is_whole_blob and download.length is None:
                # Harbor's proxy cache takes what has no length for empty (`docs/facts/harbor.md D.8`).
                download.length = swr.registry.blob(repository, digest).length
            if not download.has_explicit_end:
                raise Unexpected("SWR sends a blob without its length: a part of it could pass for the whole")
            if "adapter.begin_response" in environ:
                # Harbor may be throttled, as for an upload.
                environ["adapter.begin_response"](BLOB)
            return _described(transfer.answer(), digest)

    return blueprint


def _head(length: int | None) -> Response:
    """Without a length rather than with a wrong one: Harbor then takes the size from the manifest."""
    response = Response(b"", content_type="application/octet-stream")
    response.automatically_set_content_length = False
    response.headers.pop("Content-Length", None)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    return response


def _described(response: Response, digest: str) -> Response:
    response.headers["Docker-Content-Digest"] = digest
    response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    response.headers.setdefault("Accept-Ranges", "bytes")
    return response


class _Transfer:
    """A place for a download, and SWR's answer: both are given back with the last byte that the client takes, or at
    once when no answer of ours begins."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._download: Download | None = None
        self._answered = False

    def __enter__(self) -> _Transfer:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._answered:
            self._end()

    def begun(self, download: Download) -> Download:
        """From now on the transfer ends it."""
        self._download = download
        return download

    def answer(self) -> Response:
        """SWR's open answer as ours; nothing of its content is fetched before the client takes it."""
        download = self._download
        assert download is not None  # noqa: S101 - `begun` was called
        response = Response(iter(download), download.status)
        response.headers.pop("Content-Type", None)
        response.headers.extend({"Content-Type": "application/octet-stream"} | download.headers)
        response.call_on_close(self._end)
        self._answered = True
        return response

    def _end(self) -> None:
        try:
            if self._download is not None:
                self._download.close()
        finally:
            self._slot.release()
