"""Deletions by Harbor: a manifest on `/v2`, a tag on `/api` (`docs/facts/harbor.md D.3, D.4`)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import project_repository_of, repository_of
from adapter.contract.headers import empty_response
from adapter.errors import DeletionRefused, ManifestUnknown, RepositoryUnknown
from adapter.manifests.service import ManifestService
from adapter.references import check_reference, check_tag, is_digest
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository


def create_blueprint(swr: SwrClient, manifests: ManifestService) -> Blueprint:
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
