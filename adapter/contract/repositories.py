"""Repositories and artifacts of a project, for pull rules, and the repositories from which a blob can be mounted
(`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from adapter.contract.artifacts import Artifact, artifact_json, group_by_digest
from adapter.contract.auth import credentials_of, decode_repository, project_repository_of
from adapter.contract.list_cache import ListCache
from adapter.contract.pagination import page_of, paged
from adapter.contract.queries import matcher, parse_query
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
from adapter.transfer.mount import Mounts

_BLOB_DIGEST: Final = re.compile(r"(?:^|,)\s*blob_digest=([^,]*)")


def create_blueprint(swr: SwrClient, manifests: ManifestService, mounts: Mounts) -> Blueprint:
    """Lists of repositories and artifacts, one artifact, and the repository from which a blob can be mounted."""
    blueprint = Blueprint("repositories", __name__)
    artifact_lists: ListCache[Artifact] = ListCache(lambda artifact: 1 + len(artifact.tags))
    _add_repository_routes(blueprint, swr, mounts)

    @blueprint.route("/api/v2.0/projects/<project>/repositories/<path:name>/artifacts", methods=["GET"])
    def artifacts(project: str, name: str) -> Response:
        repository, page = project_repository_of(request, swr, project, name), page_of(request)
        query = request.args.get("q")
        matches = _artifact_filter(parse_query(query))
        found = artifact_lists.read(
            repository.credentials,
            _list_name(str(repository), query),
            lambda: list(filter(matches, group_by_digest(swr.catalog.tags(repository)))),
            first=page.first,
            size=page.size,
        )
        return paged(request, found, key=lambda each: each.key, show=lambda each: artifact_json(repository.name, each))

    @blueprint.route("/api/v2.0/projects/<project>/repositories/<path:name>/artifacts/<reference>", methods=["GET"])
    def artifact(project: str, name: str, reference: str) -> Response:
        repository, reference = project_repository_of(request, swr, project, name), check_reference(reference)
        manifest = manifests.pull(repository, reference, ACCEPT, head=False)

        def fetch() -> Sequence[Artifact]:
            # Harbor requests many artifacts of a repository at once: concurrent requests share one list.
            return artifact_lists.read(
                repository.credentials,
                str(repository),
                lambda: group_by_digest(swr.catalog.tags(repository)),
                first=True,
                size=None,
            )

        with_tag = request.args.get("with_tag", "true") != "false"
        tags = _tags_of(fetch, manifest.digest, reference) if with_tag else []
        return jsonify(_single_artifact_json(repository.name, manifest, tags))

    return blueprint


def _add_repository_routes(blueprint: Blueprint, swr: SwrClient, mounts: Mounts) -> None:
    repository_lists: ListCache[ListedRepository] = ListCache()

    @blueprint.route("/api/v2.0/projects/<project>/repositories", methods=["GET"])
    def repositories(project: str) -> Response:
        credentials, page = credentials_of(request, swr.regions), page_of(request)
        organization, query = decode_repository(project, "any").organization, request.args.get("q")
        matches = _repository_filter(parse_query(query))
        found = repository_lists.read(
            credentials,
            _list_name(organization, query),
            lambda: list(filter(matches, swr.catalog.repositories(credentials, organization))),
            first=page.first,
            size=page.size,
        )
        return paged(request, found, key=lambda each: each.name, show=_repository_json)

    @blueprint.route("/api/v2.0/repositories", methods=["GET"])
    def mount_sources() -> Response:
        """At most one repository."""
        credentials = credentials_of(request, swr.regions)
        digest = _BLOB_DIGEST.search(request.args.get("q", ""))
        source = None if digest is None else mounts.offer(credentials, check_digest(digest[1].strip()))
        names = [] if source is None else [str(source)]
        return paged(request, names, key=str, show=lambda name: {"name": name})


def _list_name(place: str, query: str | None) -> str:
    """The name of a filtered list in the cache: the list is filtered once, not for each page. The query is hashed,
    because it may be long."""
    return place if query is None else f"{place} {sha256(query.encode()).hexdigest()}"


def _repository_filter(query: dict[str, str]) -> Callable[[ListedRepository], bool]:
    """`name`, of the repository with or without its organization."""
    if (name := query.get("name")) is None:
        return lambda _: True
    matches = matcher(name)
    return lambda each: matches(str(each.repository)) or matches(each.name)


def _repository_json(listed: ListedRepository) -> dict[str, Any]:
    return {"name": str(listed.repository), "creation_time": None, "update_time": listed.updated}


def _artifact_filter(query: dict[str, str]) -> Callable[[Artifact], bool]:
    """`digest` and `tags`. Harbor's `tags=*` means any tag; `tags=nil` means untagged, which no listed artifact is."""
    digest, tags = query.get("digest"), query.get("tags")
    by_digest = None if digest is None else matcher(digest)
    by_tag = None if tags is None or tags == "*" else matcher(tags)

    def matches(artifact: Artifact) -> bool:
        if by_digest is not None and not by_digest(artifact.digest or ""):
            return False
        return by_tag is None or any(by_tag(tag.name) for tag in artifact.tags)

    return matches


def _tags_of(fetch: Callable[[], Sequence[Artifact]], digest: str, reference: str) -> list[ListedTag]:
    """The listed tags of the digest or of its converted image, and the requested tag even if it is not listed."""
    found: list[ListedTag] = []
    with contextlib.suppress(NotFound):
        try:
            found = [tag for each in fetch() for tag in each.tags if digest in (tag.digest, tag.source)]
        except AccountBlocked:
            raise
        except Denied:
            found = []
    if not is_digest(reference) and reference not in {tag.name for tag in found}:
        found.append(ListedTag(reference, digest, None, None, None, is_list=False))
    return found


def _single_artifact_json(repository: RepositoryName, manifest: Manifest, tags: list[ListedTag]) -> dict[str, Any]:
    """An artifact as its manifest describes it; only the push times come from the tags."""
    document = _parsed(manifest.data or b"")
    is_list = manifest.media_type in INDEX_TYPES
    config_type, size = config_type_of(document), _size(document)
    described = ListedTag("", manifest.digest, manifest.media_type, size, None, is_list, config_type)
    artifact = Artifact(manifest.digest, (described, *sorted(tags, key=lambda tag: tag.name)))
    shown = artifact_json(repository, artifact)
    return {**shown, "tags": shown["tags"][1:]}


def _parsed(data: bytes) -> object:
    try:
        return parse_json(data)
    except ValueError:
        return None


def _size(document: object) -> int | None:
    """Bytes of everything that a manifest references, as in SWR's tag list; None if a size is invalid."""
    if not isinstance(document, dict):
        return None
    # Go encodes an empty list as null.
    lists = (document.get("layers") or [], document.get("manifests") or [])
    if not all(isinstance(each, list) for each in lists):
        return None
    parts = [document["config"]] if document.get("config") else []
    sizes = [
        whole_in_json(part.get("size")) if isinstance(part, dict) else None for part in [*parts, *lists[0], *lists[1]]
    ]
    known = [size for size in sizes if size is not None]
    return whole_in_json(sum(known)) if len(known) == len(sizes) else None
