"""Entries of SWR's listings: a repository, a tag (`docs/facts/swr.md §4.4, §4.5`). Pure.

A name that no registry accepts, or an empty one, is left out: Harbor could not request it. Only what decides something
refuses the list with `Unexpected`: a missing name, and an invalid digest, since a guess would copy the wrong image. All
else decorates an entry (times, sizes, types); where it cannot be read it is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.errors import DigestInvalid, NameInvalid, TagInvalid, Unexpected
from adapter.numerals import whole_in_json
from adapter.references import Repository, check_digest, check_tag, parse_repository
from adapter.swr.annotations import original_digest_of
from adapter.swr.manifest_types import DOCKER_LIST, DOCKER_MANIFEST, LISTS, NONE, parsed, type_of
from adapter.swr.times import read_time

_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_LONGEST_TYPE: Final = 255


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository of a listing; `name` is the path below the organization, `updated` RFC 3339."""

    organization: str
    name: str
    updated: str | None

    @property
    def repository(self) -> Repository:
        """Its full name."""
        return Repository(self.organization, self.name)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; `size` is in bytes, `pushed` RFC 3339. What SWR does not tell is None.

    `config_type` is the media type of the image's configuration: it tells an image from a chart. `source` is the digest
    of the original that the tag's image stands for, if it is a translation (`adapter.swr.annotations`); `silent`: that
    cannot be seen.
    """

    name: str
    digest: str | None
    media_type: str | None
    size: int | None
    pushed: str | None
    is_list: bool
    config_type: str | None = None
    source: str | None = None
    silent: bool = False


def read_repository(entry: Mapping[str, Any]) -> Listed | None:
    """Names of nested repositories may come as in a path, with `$` for the slash."""
    organization, name = entry.get("namespace"), entry.get("name")
    if not isinstance(organization, str) or not isinstance(name, str):
        raise Unexpected("SWR's list of repositories has an entry without a name: report this")
    try:
        repository = parse_repository(f"{organization}/{name.replace('$', '/')}")
    except NameInvalid:
        return None
    return Listed(repository.organization, repository.path, read_time(entry.get("updated_at")))


def read_tag(entry: Mapping[str, Any]) -> Tag | None:
    """`Tag` has a capital letter; `manifest` is the document as a string (`docs/facts/swr.md §4.5`)."""
    name = entry.get("Tag", entry.get("tag"))
    if not isinstance(name, str):
        raise Unexpected("SWR's list of tags has an entry without a name: report this")
    try:
        check_tag(name)
    except TagInvalid:
        return None
    if _is_deleted(entry.get("deleted")):
        return None
    document = _manifest(entry)
    media_type, config_type = _types(entry, document)
    is_list = whole_in_json(entry.get("tag_type")) == 1 or media_type in LISTS
    own_type = type_of(document)
    return Tag(
        name,
        _digest(entry.get("digest")),
        media_type,
        whole_in_json(entry.get("size")),
        read_time(entry.get("updated")) or read_time(entry.get("created")),
        is_list=is_list,
        config_type=config_type,
        source=original_digest_of(document),
        silent=own_type not in LISTS and (is_list or own_type == NONE),
    )


def _is_deleted(value: object) -> bool:
    """Only a readable time says so, or true. A deleted tag that is listed costs a 404 when it is pulled, but a tag that
    is left out would pass for deleted."""
    return value is True or read_time(value) is not None


def _digest(value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        return check_digest(str(value))
    except DigestInvalid:
        raise Unexpected("SWR's list of tags has an invalid digest: report this") from None


def _manifest(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parsed manifest, empty where the list has none that can be read. Parsed once: it may have megabytes."""
    text = entry.get("manifest")
    return (parsed(text.encode(errors="replace")) or {}) if isinstance(text, str) else {}


def _types(entry: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Of the manifest and of its configuration; without the manifest, what the numbers beside it say."""
    if (media_type := type_of(document)) != NONE:
        return media_type[:_LONGEST_TYPE], config_type_of(document)
    if whole_in_json(entry.get("tag_type")) == 1:
        return DOCKER_LIST, None
    return {1: _SCHEMA_1, 2: DOCKER_MANIFEST}.get(whole_in_json(entry.get("schema")) or 0), None


def config_type_of(document: object) -> str | None:
    """The media type of the configuration that a parsed manifest names.

    None for a list, for what is no manifest, and for a type longer than any: lists are kept in memory, and a type is
    what whoever pushed the image wrote.
    """
    config = document.get("config") if isinstance(document, dict) else None
    found = config.get("mediaType") if isinstance(config, dict) else None
    usable = isinstance(found, str) and len(found) <= _LONGEST_TYPE and found.isascii() and found.isprintable()
    return found if usable else None
