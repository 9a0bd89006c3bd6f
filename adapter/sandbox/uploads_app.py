"""Blob uploads (docs/facts/swr.md §6, §10): start, chunks, finish, status, abort."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

from flask import Blueprint, Response, abort, request

from adapter.sandbox.authorization import Authorizer, own_url
from adapter.sandbox.context import Context
from adapter.sandbox.request_bodies import BodyInterruptedError, BodyTooLargeError, announced_length, blocks
from adapter.sandbox.responses import empty, registry_error, swr_error
from adapter.sandbox.store import DIGEST
from adapter.sandbox.upload_files import OpenUpload, UploadBusyError, UploadGoneError

CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/\S*)?")


class Uploads:
    """`/v2/<repository>/blobs/uploads/…`; the position of an upload is signed into `_state`."""

    def __init__(self, context: Context, authorizer: Authorizer) -> None:
        self._context = context
        self._knobs = context.knobs
        self._files = context.store.upload_files
        self._authorizer = authorizer

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("uploads", __name__)
        blueprint.add_url_rule("/v2/<path:repository>/blobs/uploads/", view_func=self.start, methods=["POST"])
        each = "/v2/<path:repository>/blobs/uploads/<upload_id>"
        for method, view in (
            ("PATCH", self.append),
            ("PUT", self.finish),
            ("GET", self.status),
            ("DELETE", self.cancel),
        ):
            blueprint.add_url_rule(each, method.lower(), view, methods=[method])
        return blueprint

    # the views

    def start(self, repository: str) -> Response:
        self._authorizer.allow(repository, "push")
        mount, source = request.args.get("mount", ""), request.args.get("from", "")
        if mount and (mounted := self._mount(source, repository, mount)) is not None:
            return mounted
        upload = self._files.start(repository)
        digest = request.args.get("digest")
        if digest and self._knobs.on("single_post"):
            return self._complete(upload, digest)
        return empty(202, self._headers(upload))

    def append(self, repository: str, upload_id: str) -> Response:
        upload = self._opened(repository, upload_id)
        out_of_order = upload.size > 0 and not self._knobs.on("multiple_patches")
        span = CONTENT_RANGE.fullmatch(request.headers.get("Content-Range", ""))
        if span and self._knobs.on("chunk_order"):
            out_of_order = out_of_order or int(span[1]) != upload.size
        if out_of_order:
            response = registry_error(416, "RANGE_INVALID", "invalid content range")
            response.headers.update(self._headers(upload))
            return response
        written = self._written(upload)
        if span and written.size - upload.size != int(span[2]) - int(span[1]) + 1:
            self._files.discard(upload.id)
            return registry_error(400, "SIZE_INVALID", "provided length did not match content length")
        return empty(202, self._headers(written))

    def finish(self, repository: str, upload_id: str) -> Response:
        upload = self._opened(repository, upload_id)
        digest = request.args.get("digest", "")
        if not DIGEST.fullmatch(digest):
            return registry_error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        return self._complete(upload, digest)

    def status(self, repository: str, upload_id: str) -> Response:
        upload = self._opened(repository, upload_id)
        if not self._knobs.on("upload_status"):
            return registry_error(404, "NOT_FOUND", "page not found")
        return empty(204, self._headers(upload))

    def cancel(self, repository: str, upload_id: str) -> Response:
        upload = self._opened(repository, upload_id)
        if not self._knobs.on("upload_delete"):
            return registry_error(405, "UNSUPPORTED", "The operation is unsupported.")
        self._files.discard(upload.id)
        return empty(204)

    # the steps

    def _mount(self, source: str, repository: str, digest: str) -> Response | None:
        """The response to a mount; None when an upload starts instead."""
        mode = self._knobs.text("mount")
        if mode == "405":
            return registry_error(405, "UNSUPPORTED", "The operation is unsupported.")
        if mode == "false":
            return empty(201)
        if mode == "202":
            return None
        self._authorizer.allow(source, "pull", scoped=self._knobs.on("mount_scope"))
        if not DIGEST.fullmatch(digest) or not self._context.store.has_blob(source, digest):
            return None
        self._context.store.copy_blob(source, repository, digest)
        return empty(201) if mode == "silent" else self._created(repository, digest)

    def _opened(self, repository: str, upload_id: str) -> OpenUpload:
        self._authorizer.allow(repository, "push")
        state = self._context.signer.open_state(request.args.get("_state", ""))
        upload = self._files.get(upload_id)
        valid = state is not None and upload is not None and state[0] == upload.id and upload.repository == repository
        if not valid or (state and upload and state[1] != upload.size and not self._knobs.on("stale_state")):
            abort(registry_error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
        assert upload is not None  # noqa: S101 - narrows the type: `valid` implies it
        return upload

    def _written(self, upload: OpenUpload, then: Callable[[OpenUpload], None] | None = None) -> OpenUpload:
        """Appends the request body. A body that is interrupted or too large ends the request and the upload."""
        limit = self._knobs.number("max_layer_bytes") - upload.size
        try:
            return self._files.append(upload, self._body(limit), then)
        except BodyTooLargeError:
            self._files.discard(upload.id)
            abort(swr_error("SVCSTG.SWR.4130025"))
        except BodyInterruptedError:
            if self._knobs.on("discard_cut_uploads"):
                self._files.discard(upload.id)
            abort(registry_error(400, "SIZE_INVALID", "provided length did not match content length"))
        except UploadBusyError:
            abort(registry_error(409, "BLOB_UPLOAD_INVALID", "blob upload is in use"))
        except UploadGoneError:
            abort(registry_error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))

    def _body(self, limit: int) -> Iterator[bytes]:
        if (announced_length(request.environ) or 0) > limit:
            raise BodyTooLargeError
        return blocks(request.environ, limit)

    def _complete(self, upload: OpenUpload, digest: str) -> Response:
        """Appends the request body, verifies the digest and stores the blob while the upload is locked."""

        def store(written: OpenUpload) -> None:
            if not DIGEST.fullmatch(digest) or (
                self._knobs.on("check_digest") and self._files.digest(written) != digest
            ):
                self._files.discard(written.id)
                abort(registry_error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"))
            self._context.store.finish_upload(written, digest)

        self._written(upload, store)
        return self._created(upload.repository, digest)

    # the headers

    def _created(self, repository: str, digest: str) -> Response:
        headers = {"Location": f"{own_url()}/v2/{repository}/blobs/{digest}"}
        if self._knobs.on("put_digest"):
            headers["Docker-Content-Digest"] = digest
        return empty(201, headers)

    def _headers(self, upload: OpenUpload) -> dict[str, str]:
        """Location, Range and UUID. Their format in SWR is unknown, so all are knobs (docs/facts/swr.md §10)."""
        base = own_url() if self._knobs.text("location") == "absolute" else ""
        state = quote(self._context.signer.state(upload.id, upload.size))
        headers = {"Location": f"{base}/v2/{upload.repository}/blobs/uploads/{upload.id}?_state={state}"}
        format_, end = self._knobs.text("upload_range"), max(upload.size - 1, 0)
        if format_ != "absent":
            headers["Range"] = {"0-N": f"0-{end}", "0-0": "0-0", "bytes": f"bytes=0-{end}"}[format_]
        if self._knobs.on("upload_uuid"):
            headers["Docker-Upload-UUID"] = upload.id
        return headers
