"""Entries of SWR's listings: a repository, a tag (`docs/facts/swr.md §4.4, §4.5`). Pure.

A name that no registry accepts, or an empty one, is left out: Harbor could not request it. Only what decides something
refuses the list with `Unexpected`: a missing name, and an invalid digest, since a guess would copy the wrong image. All
else decorates an entry (times, sizes, types); where it cannot be read it is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapter.errors import DigestInvalid, NameInvalid, TagInvalid, Unexpected
from adapter.numerals import whole_in_json
from adapter.references import RepositoryName, check_digest, check_tag, parse_repository
from adapter.swr.annotations import original_digest_of
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, LISTS, NONE, parsed, type_of

_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_LONGEST_TYPE: Final = 255


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """A repository of a listing; `name` is the path below the organization, `updated` RFC 3339."""

    organization: str
    name: str
    updated: str | None

    @property
    def repository(self) -> RepositoryName:
        """Its full name."""
        return RepositoryName(self.organization, self.name)


@dataclass(frozen=True, slots=True)
class ListedTag:
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


def read_repository(entry: Mapping[str, Any]) -> ListedRepository | None:
    """Names of nested repositories may come as in a path, with `$` for the slash."""
    organization, name = entry.get("namespace"), entry.get("name")
    if not isinstance(organization, str) or not isinstance(name, str):
        raise Unexpected("SWR's list of repositories has an entry without a name: report this")
    try:
        repository = parse_repository(f"{organization}/{name.replace('$', '/')}")
    except NameInvalid:
        return None
    return ListedRepository(repository.organization, repository.path, parse_timestamp(entry.get("updated_at")))


def read_tag(entry: Mapping[str, Any]) -> ListedTag | None:
    """`ListedTag` has a capital letter; `manifest` is the document as a string (`docs/facts/swr.md §4.5`)."""
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
    return ListedTag(
        name,
        _digest(entry.get("digest")),
        media_type,
        whole_in_json(entry.get("size")),
        parse_timestamp(entry.get("updated")) or parse_timestamp(entry.get("created")),
        is_list=is_list,
        config_type=config_type,
        source=original_digest_of(document),
        silent=own_type not in LISTS and (is_list or own_type == NONE),
    )


def _is_deleted(value: object) -> bool:
    """Only a readable time says so, or true. A deleted tag that is listed costs a 404 when it is pulled, but a tag that
    is left out would pass for deleted."""
    return value is True or parse_timestamp(value) is not None


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


_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})? ?(?:[Zz]|([+-])(\d\d):?(\d\d))?(?: [A-Z]{3,4})?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_SECONDS: Final = 946_684_800
_LATEST_SECONDS: Final = 4_102_444_800
"""From 2000 to 2100: numbers outside are not taken for the time of an image, whether in seconds or in milliseconds."""


def parse_timestamp(value: object) -> str | None:
    """`2026-01-02T03:04:05.678Z`; None where SWR gives none, an unreadable one, or a zero one. Never raises.

    RFC 3339 is documented (`docs/facts/swr.md §4.4, §4.5`); a blank for the T, and a zone that is left out, are read
    too: all times are UTC. So are seconds and milliseconds since 1970, as a number or in digits. A zero time is one of
    1970-01-01T00:00:00Z or before: Go writes year 1 for a time that was never set, other programs 1970.
    """
    moment = _from_text(value) if isinstance(value, str) else None
    if moment is None:
        moment = _from_number(value)
    if moment is None or moment <= _EPOCH:
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _from_text(text: str) -> datetime | None:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    try:
        moment = datetime(*(int(found[at]) for at in range(1, 7)), tzinfo=UTC)  # type: ignore[misc,arg-type]
        milliseconds = int(((found[7] or "")[1:] + "000")[:3])
        return moment - _offset(found) + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        return None


def _offset(found: re.Match[str]) -> timedelta:
    if found[8] is None:
        return timedelta()
    hours, minutes = int(found[9]), int(found[10])
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if found[8] == "-" else offset


def _from_number(value: object) -> datetime | None:
    number = int(value) if isinstance(value, float) and abs(value) < 1e18 else whole_in_json(value)
    if number is None:
        return None
    for milliseconds in (number * 1000, number):
        if _EARLIEST_SECONDS * 1000 <= milliseconds < _LATEST_SECONDS * 1000:
            return _EPOCH + timedelta(milliseconds=milliseconds)
    return None
