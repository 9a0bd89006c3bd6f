"""Artifacts: SWR's tags, those of one digest together (`docs/facts/harbor.md D.4`). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from adapter.references import RepositoryName
from adapter.swr.catalog import ListedTag

_IMAGES: Final = frozenset(
    {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"}
)
_TYPES: Final = {"application/vnd.cncf.helm.config.v1+json": "CHART", "application/vnd.wasm.config.v1+json": "WASM"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """What one digest stands for. `digest` is None where SWR lists tags without: each tag is then an artifact."""

    digest: str | None
    tags: tuple[ListedTag, ...]

    @property
    def key(self) -> str:
        """What artifacts are ordered by. Neither a push nor a deletion of another one changes it."""
        return self.digest or self.tags[0].name


def grouped(tags: Iterable[ListedTag]) -> list[Artifact]:
    """By key; the tags of an artifact are by name."""
    groups: dict[str, list[ListedTag]] = {}
    for tag in sorted(tags, key=lambda each: each.name):
        groups.setdefault(tag.digest or tag.name, []).append(tag)
    return [Artifact(found[0].digest, tuple(found)) for _, found in sorted(groups.items())]


def described(repository: RepositoryName, artifact: Artifact) -> dict[str, Any]:
    """As Harbor's client reads it. `references` stay empty: each would cost it a request, and a 404 its whole run."""
    tags = artifact.tags
    config_type = next((tag.config_type for tag in tags if tag.config_type), None)
    media_type = next((tag.media_type for tag in tags if tag.media_type), None)
    size = next((tag.size for tag in tags if tag.size is not None), None)
    pushed = max((tag.pushed for tag in tags if tag.pushed), default=None)
    return {
        "type": type_of(config_type, is_list=any(tag.is_list for tag in tags)),
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


def type_of(config_type: str | None, *, is_list: bool) -> str:
    """`IMAGE` unless the configuration is of something else."""
    if is_list or config_type is None or config_type in _IMAGES:
        return "IMAGE"
    return _TYPES.get(config_type, "UNKNOWN")
