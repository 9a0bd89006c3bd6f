"""Blobs on /v2: GET redirects into the object store (docs/facts/swr.md §6)."""

from __future__ import annotations

import base64

from flask import Blueprint, Response, request
from werkzeug.wsgi import wrap_file

from adapter.sandbox.authorization import Authorizer
from adapter.sandbox.context import Context
from adapter.sandbox.responses import empty, registry_error
from adapter.sandbox.store import DIGEST
from adapter.sandbox.upload_files import BLOCK

BUCKET = "op-svc-swr-sandbox"


def object_path(repository: str, digest: str) -> str:
    """The path of a blob in the object store, in the format of SWR: `/<bucket>/data/tarsum/<…>/<digest>/layer`."""
    name = base64.urlsafe_b64encode(repository.encode()).rstrip(b"=").decode()
    return f"/{BUCKET}/data/tarsum/{name}/{digest}/layer"


class Blobs:
    """`/v2/<repository>/blobs/<digest>`."""

    def __init__(self, context: Context, authorizer: Authorizer) -> None:
        self._context = context
        self._authorizer = authorizer

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("blobs", __name__)
        blueprint.add_url_rule("/v2/<path:repository>/blobs/<digest>", view_func=self.read)
        return blueprint

    def read(self, repository: str, digest: str) -> Response:
        self._authorizer.allow(repository, "pull")
        knobs, head = self._context.knobs, request.method == "HEAD"
        if not DIGEST.fullmatch(digest) or not self._context.store.has_blob(repository, digest):
            return registry_error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if knobs.text("blob_redirect") != "off" and (not head or knobs.on("head_redirect")):
            origin = self._context.options.objects_bind.url(request.host)
            lifetime = knobs.number("signed_url_seconds")
            link = self._context.signer.link(request.method, object_path(repository, digest), lifetime)
            return empty(int(knobs.text("blob_redirect")), {"Location": f"{origin}{link}"})
        path = self._context.store.blob_path(repository, digest)
        headers = {"Docker-Content-Digest": digest, "Content-Length": str(path.stat().st_size)}
        if head:
            return Response(headers=headers, content_type="application/octet-stream")
        body = wrap_file(request.environ, path.open("rb"), BLOCK)
        return Response(body, headers=headers, content_type="application/octet-stream", direct_passthrough=True)
