"""`/v2/<name>/manifests/<reference>` (OCI distribution spec, "Pulling manifests", "Pushing manifests"), and
deletion (`docs/facts/harbor.md D.3, D.4`)."""

from __future__ import annotations

import re
from typing import Final

from flask import Blueprint, Request, Response, request

from adapter.contract.auth import project_repository_of, repository_of
from adapter.contract.headers import API_VERSION, empty_response
from adapter.documents import TooManyValues, parse_json
from adapter.errors import (
    DeletionRefused,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    RepositoryUnknown,
    TagInvalid,
)
from adapter.manifests.conversion import Document
from adapter.manifests.forms import Form, form_of
from adapter.manifests.preserved_original import MAX_MANIFEST_BYTES
from adapter.manifests.service import ManifestService, Stored
from adapter.references import algorithm_of, check_reference, check_tag, digest_of, is_digest
from adapter.swr.client import SwrClient
from adapter.swr.manifest_validation import Manifest
from adapter.swr.media_types import ACCEPT
from adapter.swr.repository import Repository
from adapter.transfer.request_body import read_all, reject_larger
from adapter.transfer.verified_body import check_supported

_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}(?:;[\x20-\x7e]{0,255})?", re.ASCII)


def create_blueprint(swr: SwrClient, manifests: ManifestService) -> Blueprint:
    """HEAD, GET and PUT by tag and by digest."""
    blueprint = Blueprint("manifests", __name__)

    @blueprint.route("/v2/<path:name>/manifests/<reference>", methods=["GET"])
    def get(name: str, reference: str) -> Response:
        repository = repository_of(request, swr, name)
        try:
            check_reference(reference)
        except (TagInvalid, DigestInvalid) as error:
            # No manifest can have this reference, so 404 (OCI distribution spec, "Pulling manifests").
            raise ManifestUnknown(f"manifest not found in {repository}: {error.sentence}") from None
        accept = request.headers.get("Accept") or ACCEPT
        return _manifest_response(manifests.pull(repository, reference, accept, head=request.method == "HEAD"))

    @blueprint.route("/v2/<path:name>/manifests/<reference>", methods=["PUT"])
    def put(name: str, reference: str) -> Response:
        repository, reference = repository_of(request, swr, name), check_reference(reference)
        if is_digest(reference):
            check_supported(reference)
        reject_larger(request.environ, MAX_MANIFEST_BYTES, "a manifest")
        # The body is read only for a client with permission to push. The PUT to SWR needs the same token.
        swr.registry.authorize(repository)
        data = read_manifest(request)
        media_type, form = inspect(data, request.headers.get("Content-Type"))
        digest = digest_of(data, algorithm_of(reference) if is_digest(reference) else "sha256")
        if is_digest(reference) and digest != reference:
            raise DigestInvalid(f"manifest digest mismatch: expected {reference}, got {digest}")
        stored = manifests.push(repository, reference, Document(media_type, digest, data), form)
        location = f"/v2/{repository}/manifests/{stored.digest}"
        return empty_response(201, {"Location": location, "Docker-Content-Digest": stored.digest} | _warning(stored))

    return blueprint


def _warning(stored: Stored) -> dict[str, str]:
    """The header that clients print (OCI distribution spec, "Warnings")."""
    return {} if stored.warning is None else {"Warning": f'299 - "{stored.warning}"'}


def _manifest_response(manifest: Manifest) -> Response:
    response = Response(manifest.data or b"", content_type=manifest.media_type)
    response.headers["Docker-Content-Digest"] = manifest.digest
    response.headers.update(API_VERSION)
    response.headers["Content-Length"] = str(manifest.length)
    return response


def read_manifest(incoming: Request) -> bytes:
    """The body, at most 4 MiB. Raises `TooLarge`, `SizeInvalid`, `Busy`."""
    return read_all(incoming.environ, MAX_MANIFEST_BYTES, "a manifest")


def inspect(data: bytes, content_type: str | None) -> tuple[str, Form]:
    """The media type of a manifest and its form. Raises `ManifestInvalid`.

    The media type is the `Content-Type` of the request, or else the `mediaType` of the document. A manifest that goes
    to SWR unchanged is parsed only here.
    """
    try:
        document = parse_json(data, wait=0)
    except TooManyValues as error:
        raise ManifestInvalid(f"the manifest has too many values, {error}: split it") from None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object: send the content of the manifest as the body")
    media_type = content_type or document.get("mediaType")
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise ManifestInvalid("missing or invalid media type: set Content-Type to the media type of the manifest")
    return media_type, form_of(document)


def create_deletion_blueprint(swr: SwrClient, manifests: ManifestService) -> Blueprint:
    """Two routes. By digest a manifest is deleted with all its tags, by tag only that tag."""
    blueprint = Blueprint("deletion", __name__)

    def delete_all_tags(repository: Repository, digest: str) -> None:
        try:
            swr.deletion.manifest(repository, digest)
        except (ManifestUnknown, RepositoryUnknown) as unknown:
            # A preserved original is a blob. GET still serves it, so 404 would be wrong; no API of SWR deletes blobs.
            if not manifests.is_preserved(repository, digest):
                raise
            raise DeletionRefused(
                f"no tag of {repository} refers to {digest}, and SWR deletes only by tag: nothing was deleted; to "
                "delete the remaining blob, delete the repository in the SWR console",
                **unknown.of_swr(),
            ) from unknown

    @blueprint.route("/v2/<path:name>/manifests/<reference>", methods=["DELETE"])
    def manifest(name: str, reference: str) -> Response:
        repository, reference = repository_of(request, swr, name), check_reference(reference)
        if is_digest(reference):
            delete_all_tags(repository, reference)
        else:
            swr.deletion.tag(repository, reference)
        return empty_response(202, {})

    @blueprint.route(
        "/api/v2.0/projects/<project>/repositories/<path:name>/artifacts/<reference>/tags/<tag>", methods=["DELETE"]
    )
    def tag(project: str, name: str, reference: str, tag: str) -> Response:
        repository = project_repository_of(request, swr, project, name)
        swr.deletion.tag_of(repository, check_reference(reference), check_tag(tag))
        return empty_response(200, {}, on_v2=False)

    return blueprint
