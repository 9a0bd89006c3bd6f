"""Manifests on /v2 (docs/facts/swr.md §6)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.sandbox import manifest_documents
from adapter.sandbox.authorization import Authorizer, own_url
from adapter.sandbox.context import Context
from adapter.sandbox.garbage_collection import collect_garbage
from adapter.sandbox.manifest_documents import Document, ManifestPolicy
from adapter.sandbox.request_bodies import BodyInterruptedError, BodyTooLargeError, read_body
from adapter.sandbox.responses import empty, registry_error, swr_error
from adapter.sandbox.store import DIGEST, TAG, digest_of

MAX_BYTES = 4 << 20
CANNOT_PARSE = "Invalid image, fail to parse 'manifest.json'"


class Manifests:
    """`/v2/<repository>/manifests/<reference>`. Accept is ignored without the knob `accept_types`."""

    def __init__(self, context: Context, authorizer: Authorizer) -> None:
        self._context = context
        self._knobs = context.knobs
        self._store = context.store
        self._authorizer = authorizer

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("manifests", __name__)
        path = "/v2/<path:repository>/manifests/<reference>"
        blueprint.add_url_rule(path, "read", self.read, methods=["GET"])
        blueprint.add_url_rule(path, "write", self.write, methods=["PUT"])
        blueprint.add_url_rule(path, "delete", self.delete, methods=["DELETE"])
        return blueprint

    def read(self, repository: str, reference: str) -> Response:
        self._authorizer.allow(repository, "pull")
        found = self._store.manifest(repository, reference)
        if found is None:
            return registry_error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if self._knobs.on("accept_types") and not request.accept_mimetypes[found.media_type]:
            return registry_error(404, "MANIFEST_UNKNOWN", f"{found.media_type} is not accepted")
        kinds = {"exact": found.media_type, "json": "application/json"}
        response = Response(found.data, content_type=kinds.get(self._knobs.text("manifest_type")))
        if self._knobs.text("manifest_type") == "absent":
            del response.headers["Content-Type"]
        if request.method == "GET" or self._knobs.on("head_digest"):
            response.headers["Docker-Content-Digest"] = found.digest
        return response

    def write(self, repository: str, reference: str) -> Response:
        self._authorizer.allow(repository, "push")
        try:
            data = read_body(request.environ, MAX_BYTES)
            document = manifest_documents.read(data, request.headers.get("Content-Type", ""))
        except BodyTooLargeError:
            return swr_error("SVCSTG.SWR.4130025")
        except BodyInterruptedError:
            return registry_error(400, "SIZE_INVALID", "provided length did not match content length")
        except ValueError:
            return registry_error(400, "MANIFEST_INVALID", CANNOT_PARSE)
        rejection = self._rejection(repository, reference, data, document)
        if rejection:
            return rejection
        digest = self._store.put_manifest(repository, reference, data, document.media_type)
        if not DIGEST.fullmatch(reference):
            collect_garbage(self._store, repository, self._knobs.text("forget"))
        headers = {"Location": f"{own_url()}/v2/{repository}/manifests/{digest}"}
        if self._knobs.on("put_digest"):
            headers["Docker-Content-Digest"] = digest
        return empty(201, headers)

    def _rejection(self, repository: str, reference: str, data: bytes, document: Document) -> Response | None:
        if DIGEST.fullmatch(reference):
            if digest_of(data) != reference:
                return registry_error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        elif not TAG.fullmatch(reference):
            return registry_error(400, "TAG_INVALID", "manifest tag did not match URI")
        if manifest_documents.is_rejected(document, self._policy()):
            return registry_error(400, "MANIFEST_INVALID", CANNOT_PARSE)
        if self._knobs.on("check_references") and not self._complete(repository, document):
            return registry_error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        return None

    def _policy(self) -> ManifestPolicy:
        return ManifestPolicy(
            self._knobs.text("oci"),
            self._knobs.on("artifacts"),
            self._knobs.on("zstd"),
            self._knobs.on("attestations"),
            self._knobs.on("oci_children"),
            self._knobs.on("unknown_fields"),
            self._knobs.on("index_attestations"),
            self._knobs.text("refused_artifact"),
        )

    def _complete(self, repository: str, document: Document) -> bool:
        referenced = [*document.blobs, *document.manifests]
        return (
            all(DIGEST.fullmatch(digest) for digest in referenced)
            and all(self._store.has_blob(repository, digest) for digest in document.blobs)
            and all(self._store.manifest(repository, digest) for digest in document.manifests)
        )

    def delete(self, repository: str, reference: str) -> Response:
        self._authorizer.allow(repository, "delete")
        kind = "digest" if DIGEST.fullmatch(reference) else "tag"
        if self._knobs.text("manifest_delete") not in {"accept", kind}:
            return registry_error(405, "UNSUPPORTED", "The operation is unsupported.")
        if kind == "digest":
            deleted = self._store.delete_manifest(repository, reference)
        elif self._knobs.text("delete_by_tag") == "tag":
            deleted = self._store.delete_tag(repository, reference)
        else:
            found = self._store.tag(repository, reference)
            deleted = found is not None and self._store.delete_manifest(repository, found.digest)
        return empty(202) if deleted else registry_error(404, "MANIFEST_UNKNOWN", "manifest unknown")
