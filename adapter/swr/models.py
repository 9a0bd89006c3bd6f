"""What SWR lists: organizations, repositories and tags (`docs/facts/swr.md §4.2, §4.4, §4.5`). Pure.

An empty or invalid name is left out: Harbor could not request it. A missing name and an invalid digest raise
`Unexpected`, since a guess would copy the wrong image. Every other field (times, sizes, types) is None if it cannot be
parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapter.documents import parse_json
from adapter.errors import DigestInvalid, NameInvalid, TagInvalid, Unexpected
from adapter.numerals import whole_in_json
from adapter.references import RepositoryName, check_digest, check_tag, parse_repository
from adapter.swr.annotations import original_digest_of
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, INDEX_TYPES, NOT_A_MANIFEST, parse_manifest, type_of

_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_MAX_TYPE_CHARACTERS: Final = 255
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Organization:
    """A namespace of SWR. `auth`: 7 manage, 3 write, 1 read, None if SWR sends none (`docs/facts/swr.md §4.2`)."""

    name: str
    auth: int | None = None
    id: int | None = None

    @property
    def writable(self) -> bool:
        """Whether images may be pushed into the organization; True if SWR sends no `auth`."""
        return self.auth is None or self.auth >= 3


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """A repository of a list. `name` is the path below the organization, `updated` is RFC 3339."""

    organization: str
    name: str
    updated: str | None

    @property
    def repository(self) -> RepositoryName:
        """The full name."""
        return RepositoryName(self.organization, self.name)


@dataclass(frozen=True, slots=True)
class ListedTag:
    """A tag of a list. `size` is in bytes, `pushed` is RFC 3339. A field that SWR does not send is None.

    `config_type` is the media type of the image configuration: it distinguishes an image from a chart. `source` is the
    digest of the original if the tag points to a converted manifest (`adapter.swr.annotations`). `source_unknown`: the
    list does not show whether the manifest is a converted one.
    """

    name: str
    digest: str | None
    media_type: str | None
    size: int | None
    pushed: str | None
    is_list: bool
    config_type: str | None = None
    source: str | None = None
    source_unknown: bool = False


def parse_organizations(document: bytes) -> list[Organization]:
    """Parses `{"namespaces": [{"id", "name", "auth", …}]}`, or the list alone; ignores other fields.

    The list may be null, as Go writes an empty one. Raises `Unexpected` for anything else that is not a list.
    """
    try:
        answer = parse_json(document)
        entries = answer if isinstance(answer, list) else answer["namespaces"]
        if not isinstance(entries, list | None):
            raise TypeError
        return [_organization(entry) for entry in entries or []]
    except _UNREADABLE:
        raise Unexpected("cannot parse SWR's list of organizations: report this") from None


def parse_organization(document: bytes) -> Organization:
    """Parses the response for one organization. Raises `Unexpected`."""
    try:
        return _organization(parse_json(document))
    except _UNREADABLE:
        raise Unexpected("cannot parse SWR's response about the organization: report this") from None


def _organization(entry: Mapping[str, Any]) -> Organization:
    name = entry["name"]
    if not isinstance(name, str):
        raise TypeError
    return Organization(name, whole_in_json(entry.get("auth")), whole_in_json(entry.get("id")))


def read_repository(entry: Mapping[str, Any]) -> ListedRepository | None:
    """None for an invalid name. A nested name may have `$` in place of the slash, as in a path."""
    organization, name = entry.get("namespace"), entry.get("name")
    if not isinstance(organization, str) or not isinstance(name, str):
        raise Unexpected("SWR's list of repositories has an entry without a name: report this")
    try:
        repository = parse_repository(f"{organization}/{name.replace('$', '/')}")
    except NameInvalid:
        return None
    return ListedRepository(repository.organization, repository.path, parse_timestamp(entry.get("updated_at")))


def read_tag(entry: Mapping[str, Any]) -> ListedTag | None:
    """None for an invalid or deleted tag. In SWR's list the field `Tag` has a capital letter, and `manifest` is the
    document as a string (`docs/facts/swr.md §4.5`)."""
    name = entry.get("Tag", entry.get("tag"))
    if not isinstance(name, str):
        raise Unexpected("SWR's tag list has an entry without a name: report this")
    try:
        check_tag(name)
    except TagInvalid:
        return None
    if _is_deleted(entry.get("deleted")):
        return None
    manifest = _manifest(entry)
    media_type, config_type = _types(entry, manifest)
    is_list = whole_in_json(entry.get("tag_type")) == 1 or media_type in INDEX_TYPES
    own_type = type_of(manifest)
    return ListedTag(
        name,
        _digest(entry.get("digest")),
        media_type,
        whole_in_json(entry.get("size")),
        parse_timestamp(entry.get("updated")) or parse_timestamp(entry.get("created")),
        is_list=is_list,
        config_type=config_type,
        source=original_digest_of(manifest),
        source_unknown=own_type not in INDEX_TYPES and (is_list or own_type == NOT_A_MANIFEST),
    )


def _is_deleted(value: object) -> bool:
    """True only for a valid time or `true`. A deleted tag that is listed costs one 404 when Harbor pulls it; Harbor
    treats a tag that is left out as deleted."""
    return value is True or parse_timestamp(value) is not None


def _digest(value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        return check_digest(str(value))
    except DigestInvalid:
        raise Unexpected("SWR's tag list has an invalid digest: report this") from None


def _manifest(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parsed manifest, empty if the list has no valid one. Parsed only once: it may have megabytes."""
    text = entry.get("manifest")
    return (parse_manifest(text.encode(errors="replace")) or {}) if isinstance(text, str) else {}


def _types(entry: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The media types of manifest and configuration. Without a manifest, `tag_type` and `schema` decide."""
    if (media_type := type_of(manifest)) != NOT_A_MANIFEST:
        return media_type[:_MAX_TYPE_CHARACTERS], config_type_of(manifest)
    if whole_in_json(entry.get("tag_type")) == 1:
        return DOCKER_LIST, None
    return {1: _SCHEMA_1, 2: DOCKER_MANIFEST}.get(whole_in_json(entry.get("schema")) or 0), None


def config_type_of(document: object) -> str | None:
    """The media type of the configuration that a parsed manifest references.

    None for an index, for anything that is not a manifest, and for a type of more than 255 characters: the pusher of an
    image chooses the type, and lists are kept in memory.
    """
    config = document.get("config") if isinstance(document, dict) else None
    found = config.get("mediaType") if isinstance(config, dict) else None
    usable = isinstance(found, str) and len(found) <= _MAX_TYPE_CHARACTERS and found.isascii() and found.isprintable()
    return found if usable else None


_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?) ?(Z|[+-]\d\d:?[0-5]\d)?(?: [A-Z]{3,4})?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_EPOCH_MILLISECONDS: Final = 946_684_800_000
"""Start of the year 2000: a smaller number is not the time of an image."""
_MAX_EPOCH_MILLISECONDS: Final = 4_102_444_800_000
"""Start of the year 2100."""


def parse_timestamp(value: object) -> str | None:
    """`2026-01-02T03:04:05.678Z`; None for a missing, invalid or zero time. Never raises.

    SWR documents RFC 3339 (`docs/facts/swr.md §4.4, §4.5`). Also accepted: a blank in place of the T, no zone (UTC),
    the zone as Go prints it (`+0000 UTC`), and seconds or milliseconds since 1970 as a number or as digits. A zero time
    is 1970-01-01T00:00:00Z or earlier: Go writes year 1 for a time that was never set, other programs write 1970.
    """
    moment = _from_text(value) if isinstance(value, str) else None
    if moment is None:
        moment = _from_number(value)
    if moment is None or moment <= _EPOCH:
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _from_text(text: str) -> datetime | None:
    found = _TIME.fullmatch(text.strip().upper())
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[1] + (found[2] or "Z")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _from_number(value: object) -> datetime | None:
    number = int(value) if isinstance(value, float) and abs(value) < 1e18 else whole_in_json(value)
    if number is None:
        return None
    for milliseconds in (number * 1000, number):
        if _MIN_EPOCH_MILLISECONDS <= milliseconds < _MAX_EPOCH_MILLISECONDS:
            return _EPOCH + timedelta(milliseconds=milliseconds)
    return None
