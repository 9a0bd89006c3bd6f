"""Artifacts as Harbor lists them: the SWR tags of one digest together (`docs/facts/harbor.md D.4`). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from adapter.references import RepositoryName
from adapter.swr.catalog import ListedTag

_IMAGE_CONFIGS: Final = frozenset(
    {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"}
)
_TYPES: Final = {"application/vnd.cncf.helm.config.v1+json": "CHART", "application/vnd.wasm.config.v1+json": "WASM"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A digest and its tags. If SWR lists tags without digests, `digest` is None and each tag is an artifact."""

    digest: str | None
    tags: tuple[ListedTag, ...]

    @property
    def key(self) -> str:
        """The sort key. A push or deletion of another artifact does not change it."""
        return self.digest or self.tags[0].name


def group_by_digest(tags: Iterable[ListedTag]) -> list[Artifact]:
    """Artifacts sorted by key, each with its tags sorted by name."""
    groups: dict[str, list[ListedTag]] = {}
    for tag in sorted(tags, key=lambda each: each.name):
        groups.setdefault(tag.digest or tag.name, []).append(tag)
    return [Artifact(group[0].digest, tuple(group)) for _, group in sorted(groups.items())]


def artifact_json(repository: RepositoryName, artifact: Artifact) -> dict[str, Any]:
    """An artifact in the form that Harbor's client reads.

    `references` stays empty: Harbor would send one request for each, and one 404 would fail its whole run.
    """
    tags = artifact.tags
    config_type = next((tag.config_type for tag in tags if tag.config_type), None)
    media_type = next((tag.media_type for tag in tags if tag.media_type), None)
    size = next((tag.size for tag in tags if tag.size is not None), None)
    pushed = max((tag.pushed for tag in tags if tag.pushed), default=None)
    return {
        "type": artifact_type(config_type, is_list=any(tag.is_list for tag in tags)),
        "media_type": config_type or media_type,
        "manifest_media_type": media_type,
        "digest": artifact.digest or "",
        "size": size,
        "push_time": pushed,
        "pull_time": None,
        "repository_name": str(repository),
        "tags": [{"name": tag.name, "push_time": tag.pushed, "pull_time": None, "immutable": False} for tag in tags],
        "labels": [],
        "references": None,
        "accessories": [],
    }


def artifact_type(config_type: str | None, *, is_list: bool) -> str:
    """Harbor's artifact type: `IMAGE` for a list and if the media type of the config is missing or an image's."""
    if is_list or config_type is None or config_type in _IMAGE_CONFIGS:
        return "IMAGE"
    return _TYPES.get(config_type, "UNKNOWN")
