"""Repositories and artifacts of a project, for pull rules (`docs/facts/harbor.md D.4`, "List for pull")."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from adapter.contract.caller import identity_of
from adapter.contract.grouping import Artifact, described, grouped
from adapter.contract.paging import page_of, paged
from adapter.contract.queries import matcher, repository_in, terms
from adapter.contract.snapshots import Snapshots
from adapter.errors import AccountBlocked, Denied, NotFound
from adapter.identity import Identity
from adapter.names import Repository, check_reference, is_digest
from adapter.swr.client import SwrClient
from adapter.swr.images import Listed, Tag
from adapter.swr.listed import config_type_in
from adapter.swr.manifest_types import ACCEPT, LISTS
from adapter.swr.registry import Manifest
from adapter.transfer.manifests import Manifests


def create_blueprint(swr: SwrClient, manifests: Manifests) -> Blueprint:
    """Three routes; what they list comes from SWR when a first page is asked for."""
    blueprint = Blueprint("listing", __name__)
    repositories_seen: Snapshots[Listed] = Snapshots()
    artifacts_seen: Snapshots[Artifact] = Snapshots(lambda artifact: 1 + len(artifact.tags))

    @blueprint.route("/api/v2.0/projects/<project>/repositories", methods=["GET"])
    def repositories(project: str) -> Response:
        identity, page = identity_of(request, swr.regions), page_of(request)
        organization = repository_in(project, "any").organization
        found = repositories_seen.read(
            identity,
            organization,
            lambda: swr.images.repositories(identity, organization),
            first=page.first,
            size=page.size,
        )
        wanted = terms(request.args.get("q")).get("name")
        if wanted is not None:
            matches = matcher(wanted)
            found = [each for each in found if matches(str(each.repository)) or matches(each.name)]
        return paged(request, found, key=lambda each: each.name, show=_repository)

    @blueprint.route("/api/v2.0/projects/<project>/repositories/<path:name>/artifacts", methods=["GET"])
    def artifacts(project: str, name: str) -> Response:
        identity, page = identity_of(request, swr.regions), page_of(request)
        repository = repository_in(project, name)
        found = artifacts_seen.read(
            identity,
            str(repository),
            lambda: grouped(swr.images.tags(identity, repository)),
            first=page.first,
            size=page.size,
        )
        wanted = _wanted(terms(request.args.get("q")))
        return paged(
            request,
            list(filter(wanted, found)),
            key=lambda each: each.key,
            show=lambda each: described(repository, each),
        )

    @blueprint.route("/api/v2.0/projects/<project>/repositories/<path:name>/artifacts/<reference>", methods=["GET"])
    def artifact(project: str, name: str, reference: str) -> Response:
        identity = identity_of(request, swr.regions)
        repository, reference = repository_in(project, name), check_reference(reference)
        manifest = manifests.read(identity, repository, reference, ACCEPT, head=False)
        tags = []
        if request.args.get("with_tag", "true") != "false":
            tags = _tags_of(swr, identity, repository, manifest.digest, reference)
        return jsonify(_described(repository, manifest, tags))

    return blueprint


def _repository(listed: Listed) -> dict[str, Any]:
    return {"name": str(listed.repository), "creation_time": None, "update_time": listed.updated}


def _wanted(query: dict[str, str]) -> Callable[[Artifact], bool]:
    """`digest` and `tags`; Harbor's `tags=*` means any tag, `tags=nil` none, which no artifact of SWR's lists has."""
    digest, tags = query.get("digest"), query.get("tags")
    by_digest = None if digest is None else matcher(digest)
    by_tag = None if tags is None or tags == "*" else matcher(tags)

    def wanted(artifact: Artifact) -> bool:
        if by_digest is not None and not by_digest(artifact.digest or ""):
            return False
        return by_tag is None or any(by_tag(tag.name) for tag in artifact.tags)

    return wanted


def _tags_of(swr: SwrClient, identity: Identity, repository: Repository, digest: str, reference: str) -> list[Tag]:
    """Those that carry the digest, or stand for it, as far as SWR's list tells; the one that was asked for anyway."""
    found: list[Tag] = []
    with contextlib.suppress(NotFound):
        try:
            found = [tag for tag in swr.images.tags(identity, repository) if digest in (tag.digest, tag.source)]
        except AccountBlocked:
            raise
        except Denied:
            found = []
    if not is_digest(reference) and reference not in {tag.name for tag in found}:
        found.append(Tag(reference, digest, None, None, None, is_list=False))
    return found


def _described(repository: Repository, manifest: Manifest, tags: list[Tag]) -> dict[str, Any]:
    """An artifact as its manifest tells it; only the times are the tags'."""
    data = manifest.data or b""
    listed = manifest.media_type in LISTS
    told = Tag("", manifest.digest, manifest.media_type, _size(data), None, listed, config_type_in(data))
    document = described(repository, Artifact(manifest.digest, (told, *sorted(tags, key=lambda tag: tag.name))))
    return {**document, "tags": document["tags"][1:]}


def _size(data: bytes) -> int | None:
    """Of all that a manifest names, in bytes, as SWR's list of tags has it."""
    try:
        document = json.loads(data)
        parts = [document.get("config"), *document.get("layers", []), *document.get("manifests", [])]
        return sum(int(part["size"]) for part in parts if part)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
