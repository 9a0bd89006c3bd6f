"""What Harbor deletes: a manifest on `/v2`, a tag on `/api` (`docs/facts/harbor.md D.3, D.4`)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import credentials_of, repository_of
from adapter.contract.queries import repository_in
from adapter.contract.responses import bodiless
from adapter.errors import DeletionRefused, ManifestUnknown, RepositoryUnknown
from adapter.manifests.service import ManifestService
from adapter.references import check_reference, check_tag, is_digest
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository


def create_blueprint(swr: SwrClient, manifests: ManifestService) -> Blueprint:
    """Two routes. A manifest is deleted by its digest with all its tags, by a tag with that tag alone.

    `translated`: the digest may be that of an original that a tag's image stands for.
    """
    blueprint = Blueprint("deletion", __name__)

    def delete_all(repository: Repository, digest: str) -> None:
        try:
            swr.deletion.manifest(repository, digest)
        except (ManifestUnknown, RepositoryUnknown) as unknown:
            # GET serves it, so it is not gone; and SWR is not known to delete blobs.
            if not manifests.is_preserved(repository, digest):
                raise
            raise DeletionRefused(
                f"no tag of {repository} carries {digest}, and SWR deletes only by tag: nothing was deleted; what is "
                "left of it is a blob, which stays until SWR clears it, or until the repository is deleted in the SWR "
                "console",
                **unknown.of_swr(),
            ) from unknown

    @blueprint.route("/v2/<path:name>/manifests/<reference>", methods=["DELETE"])
    def manifest(name: str, reference: str) -> Response:
        repository, reference = repository_of(request, swr, name), check_reference(reference)
        if is_digest(reference):
            delete_all(repository, reference)
        else:
            swr.deletion.tag(repository, reference)
        return bodiless(202, {})

    @blueprint.route(
        "/api/v2.0/projects/<project>/repositories/<path:name>/artifacts/<reference>/tags/<tag>", methods=["DELETE"]
    )
    def tag(project: str, name: str, reference: str, tag: str) -> Response:
        repository = swr.repository(credentials_of(request, swr.regions), repository_in(project, name))
        swr.deletion.tag_of(repository, check_reference(reference), check_tag(tag))
        return bodiless(200, {}, on_v2=False)

    return blueprint
