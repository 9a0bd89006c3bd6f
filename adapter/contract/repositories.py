"""Repositories and artifacts of a project, for pull rules (`docs/facts/harbor.md D.4`, "List for pull")."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from adapter.contract.artifacts import Artifact, described, grouped
from adapter.contract.auth import credentials_of
from adapter.contract.list_cache import ListCache
from adapter.contract.pagination import page_of, paged
from adapter.contract.queries import matcher, repository_in, terms
from adapter.documents import parse_json
from adapter.errors import AccountBlocked, Denied, NotFound
from adapter.manifests.service import ManifestService
from adapter.numerals import whole_in_json
from adapter.references import RepositoryName, check_digest, check_reference, is_digest
from adapter.swr.catalog import ListedRepository, ListedTag
from adapter.swr.client import SwrClient
from adapter.swr.manifest_validation import Manifest
from adapter.swr.media_types import ACCEPT, INDEX_TYPES
from adapter.swr.models import config_type_of
from adapter.swr.repository import Repository
from adapter.transfer.mount import Mounts


def create_blueprint(swr: SwrClient, manifests: ManifestService) -> Blueprint:
    """Three routes; what they list comes from SWR when a first page is asked for."""
    blueprint = Blueprint("listing", __name__)
    repositories_seen: ListCache[ListedRepository] = ListCache()
    artifacts_seen: ListCache[Artifact] = ListCache(lambda artifact: 1 + len(artifact.tags))

    def bound(project: str, name: str) -> Repository:
        return swr.repository(credentials_of(request, swr.regions), repository_in(project, name))

    @blueprint.route("/api/v2.0/projects/<project>/repositories", methods=["GET"])
    def repositories(project: str) -> Response:
        credentials, page = credentials_of(request, swr.regions), page_of(request)
        organization, query = repository_in(project, "any").organization, request.args.get("q")
        wanted = _named(terms(query))
        found = repositories_seen.read(
            credentials,
            _list_name(organization, query),
            lambda: list(filter(wanted, swr.catalog.repositories(credentials, organization))),
            first=page.first,
            size=page.size,
        )
        return paged(request, found, key=lambda each: each.name, show=_repository)

    @blueprint.route("/api/v2.0/projects/<project>/repositories/<path:name>/artifacts", methods=["GET"])
    def artifacts(project: str, name: str) -> Response:
        repository, page = bound(project, name), page_of(request)
        query = request.args.get("q")
        wanted = _wanted(terms(query))
        found = artifacts_seen.read(
            repository.credentials,
            _list_name(str(repository), query),
            lambda: list(filter(wanted, grouped(swr.catalog.tags(repository)))),
            first=page.first,
            size=page.size,
        )
        return paged(request, found, key=lambda each: each.key, show=lambda each: described(repository.name, each))

    @blueprint.route("/api/v2.0/projects/<project>/repositories/<path:name>/artifacts/<reference>", methods=["GET"])
    def artifact(project: str, name: str, reference: str) -> Response:
        repository, reference = bound(project, name), check_reference(reference)
        manifest = manifests.pull(repository, reference, ACCEPT, head=False)
        tags = []
        if request.args.get("with_tag", "true") != "false":
            # Many artifacts of a repository are asked for at once, so whoever asks meanwhile shares one list.
            tags = _tags_of(
                lambda: artifacts_seen.read(
                    repository.credentials,
                    str(repository),
                    lambda: grouped(swr.catalog.tags(repository)),
                    first=True,
                    size=None,
                ),
                manifest.digest,
                reference,
            )
        return jsonify(_described(repository.name, manifest, tags))

    return blueprint


def _list_name(place: str, query: str | None) -> str:
    """What a filtered list is kept by: filtered once, not for each of its pages. The query may be long."""
    return place if query is None else f"{place} {sha256(query.encode()).hexdigest()}"


def _named(query: dict[str, str]) -> Callable[[ListedRepository], bool]:
    """`name`, of the repository with or without its organization."""
    if (name := query.get("name")) is None:
        return lambda _: True
    matches = matcher(name)
    return lambda each: matches(str(each.repository)) or matches(each.name)


def _repository(listed: ListedRepository) -> dict[str, Any]:
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


def _tags_of(artifacts: Callable[[], Sequence[Artifact]], digest: str, reference: str) -> list[ListedTag]:
    """Those that carry the digest, or stand for it, as far as SWR's list tells; the one that was asked for anyway."""
    found: list[ListedTag] = []
    with contextlib.suppress(NotFound):
        try:
            found = [tag for each in artifacts() for tag in each.tags if digest in (tag.digest, tag.source)]
        except AccountBlocked:
            raise
        except Denied:
            found = []
    if not is_digest(reference) and reference not in {tag.name for tag in found}:
        found.append(ListedTag(reference, digest, None, None, None, is_list=False))
    return found


def _described(repository: RepositoryName, manifest: Manifest, tags: list[ListedTag]) -> dict[str, Any]:
    """An artifact as its manifest tells it; only the times are the tags'."""
    document = _parsed(manifest.data or b"")
    listed = manifest.media_type in INDEX_TYPES
    config_type, size = config_type_of(document), _size(document)
    told = ListedTag("", manifest.digest, manifest.media_type, size, None, listed, config_type)
    shown = described(repository, Artifact(manifest.digest, (told, *sorted(tags, key=lambda tag: tag.name))))
    return {**shown, "tags": shown["tags"][1:]}


def _parsed(data: bytes) -> object:
    try:
        return parse_json(data)
    except ValueError:
        return None


def _size(document: object) -> int | None:
    """Of all that a manifest names, in bytes, as SWR's list of tags has it; None where one size cannot be read."""
    if not isinstance(document, dict):
        return None
    # Go writes a list that was never made as null.
    lists = (document.get("layers") or [], document.get("manifests") or [])
    if not all(isinstance(each, list) for each in lists):
        return None
    parts = [document["config"]] if document.get("config") else []
    sizes = [
        whole_in_json(part.get("size")) if isinstance(part, dict) else None for part in [*parts, *lists[0], *lists[1]]
    ]
    known = [size for size in sizes if size is not None]
    return whole_in_json(sum(known)) if len(known) == len(sizes) else None


_BLOB: Final = re.compile(r"(?:^|,)\s*blob_digest=([^,]*)")


def create_mounts_blueprint(swr: SwrClient, mounts: Mounts) -> Blueprint:
    """One route: the repository that a mount may name, or none."""
    blueprint = Blueprint("mounts", __name__)

    @blueprint.route("/api/v2.0/repositories", methods=["GET"])
    def repositories() -> Response:
        credentials = credentials_of(request, swr.regions)
        asked = _BLOB.search(request.args.get("q", ""))
        found = None if asked is None else mounts.offer(credentials, check_digest(asked[1].strip()))
        names = [] if found is None else [str(found)]
        return paged(request, names, key=str, show=lambda name: {"name": name})

    return blueprint
