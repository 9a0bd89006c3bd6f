from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import Unexpected
from adapter.references import RepositoryName
from adapter.swr.annotations import SOURCE_DIGEST, with_content_digest
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from adapter.swr.models import (
    ListedRepository,
    ListedTag,
    Organization,
    config_type_of,
    parse_organizations,
    parse_timestamp,
    read_repository,
    read_tag,
)

DIGEST = "sha256:" + "a" * 64
IMAGE = "application/vnd.docker.container.image.v1+json"
CHART = "application/vnd.cncf.helm.config.v1+json"


def repository(**fields: Any) -> dict[str, Any]:
    """As documented (`docs/facts/swr.md §4.4`)."""
    usual = {"namespace": "team", "name": "app", "updated_at": "2026-01-02T03:04:05Z", "tags": ["v1"], "total_range": 1}
    return {**usual, **fields}


def tag(**fields: Any) -> dict[str, Any]:
    """As documented (`docs/facts/swr.md §4.5`)."""
    manifest = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": {"mediaType": IMAGE}}
    usual = {"Tag": "v1", "digest": DIGEST, "schema": 2, "size": 7, "manifest": json.dumps(manifest), "tag_type": 0}
    times = {"created": "2026-01-01T00:00:00Z", "updated": "2026-01-02T00:00:00Z", "deleted": None}
    return {**usual, **times, **fields}


def listed(**fields: Any) -> ListedTag:
    found = read_tag(tag(**fields))
    assert found is not None
    return found


def read_either(fields: dict[str, Any]) -> ListedRepository | ListedTag | None:
    if fields.keys() & {"name", "namespace"}:
        return read_repository(repository(**fields))
    return read_tag(tag(**fields))


# Organizations


@pytest.mark.parametrize("odd", [None, "", "seven", True, False, [], {}, -1, 10**20])
def test_invalid_numbers_of_an_organization_are_none(odd: object) -> None:
    """`true` is not the permission to read only."""
    entries = [{"name": "a", "auth": odd, "id": odd}, {"name": "a", "auth": "7", "id": 5.0}]
    assert parse_organizations(json.dumps(entries).encode()) == [Organization("a"), Organization("a", 7, 5)]


LISTS = ["[1]", '[{"id": 1}]', '[{"name": null}]', '[{"name": 7}]', "0", "false", '""', "{}"]


@pytest.mark.parametrize(
    "text", ["", "<html>", "[1]", "{}", "[" * 100_000, *(f'{{"namespaces": {each}}}' for each in LISTS)]
)
def test_an_invalid_list_of_organizations_raises(text: str) -> None:
    with pytest.raises(Unexpected, match="cannot parse SWR's list of organizations"):
        parse_organizations(text.encode())


# Repositories


def test_a_repository_is_read() -> None:
    found = read_repository(repository())
    assert found == ListedRepository("team", "app", "2026-01-02T03:04:05.000Z")
    assert found.repository == RepositoryName("team", "app")
    for name in ("a/b/c", "a$b$c"):
        assert read_repository(repository(name=name, updated_at="")) == ListedRepository("team", "a/b/c", None)


# Tags


def test_a_tag_is_read() -> None:
    expected = ListedTag("v1", DIGEST, DOCKER_MANIFEST, 7, "2026-01-02T00:00:00.000Z", is_list=False, config_type=IMAGE)
    assert read_tag(tag()) == expected
    lower = tag()
    lower["tag"] = lower.pop("Tag")
    assert read_tag(lower) == expected


def test_the_source_of_a_tag_is_the_digest_of_the_original() -> None:
    index = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [], "annotations": {SOURCE_DIGEST: DIGEST}}
    unverified = json.dumps(index)
    converted = with_content_digest(unverified.encode()).decode()
    assert listed(manifest=json.dumps(json.loads(converted), indent=2)).source == DIGEST
    for manifest in (unverified, None, "", "{", 7):
        assert listed(manifest=manifest).source is None


@pytest.mark.parametrize(
    ("manifest", "media_type", "config_type", "is_list"),
    [
        ({"mediaType": OCI_MANIFEST, "config": {"mediaType": CHART}}, OCI_MANIFEST, CHART, False),
        ({"config": {"mediaType": CHART}}, OCI_MANIFEST, CHART, False),
        ({"mediaType": OCI_INDEX, "manifests": []}, OCI_INDEX, None, True),
        ({"mediaType": DOCKER_LIST, "manifests": []}, DOCKER_LIST, None, True),
    ],
)
def test_types_are_read_from_the_manifest(
    manifest: dict[str, Any], media_type: str, config_type: str | None, is_list: bool
) -> None:
    found = listed(manifest=json.dumps(manifest))
    assert (found.media_type, found.config_type, found.is_list) == (media_type, config_type, is_list)


@pytest.mark.parametrize("manifest", [None, "", "no JSON", "[]", "{}", 7, "[" * 100_000])
def test_types_without_a_manifest_are_read_from_the_entry(manifest: object) -> None:
    def types(**fields: Any) -> tuple[str | None, bool]:
        found = listed(manifest=manifest, **fields)
        return found.media_type, found.is_list

    assert types() == types(schema="2", tag_type=0.0) == (DOCKER_MANIFEST, False)
    assert types(tag_type=1) == types(tag_type="1") == types(tag_type=1.0) == (DOCKER_LIST, True)
    assert types(schema=1) == ("application/vnd.docker.distribution.manifest.v1+prettyjws", False)
    odds: list[Any] = [None, [2], True, {}, "two", 2.5]
    for odd in odds:
        assert types(schema=odd, tag_type=odd) == (None, False)


@pytest.mark.parametrize("odd", ["soon", "0001-01-01T00:00:00Z", "", None, 7, False, [], {"seconds": 1}])
def test_an_invalid_time_is_none(odd: object) -> None:
    assert listed(updated=odd, created=odd).pushed is None
    assert listed(updated=odd).pushed == "2026-01-01T00:00:00.000Z"
    found = read_repository(repository(updated_at=odd))
    assert found is not None
    assert found.updated is None


def test_an_invalid_size_or_missing_digest_is_none() -> None:
    odds: list[Any] = [-1, "big", True, 1.5, [], 2**63]
    assert [listed(size=odd).size for odd in odds] == [None] * len(odds)
    assert listed(digest=None).digest is listed(digest="").digest is None


@pytest.mark.parametrize(
    "fields",
    [
        *({"name": name} for name in ("", "UPPER", "a//b", "a b", "-", "a" * 300)),
        *({"Tag": name} for name in ("", "a b", ".", "a" * 129, "a:b", "ä")),
        *({"deleted": deleted} for deleted in ("2026-01-03T00:00:00Z", 1767323045, True)),
    ],
)
def test_an_entry_with_an_invalid_name_or_a_deleted_one_is_left_out(fields: dict[str, Any]) -> None:
    assert read_either(fields) is None


@pytest.mark.parametrize("deleted", ["0001-01-01T00:00:00Z", "", "x", "false", "2026-01-03", False, 0, 1, [], {}])
def test_a_tag_without_a_valid_time_of_deletion_is_listed(deleted: object) -> None:
    """Harbor treats a tag that is left out as deleted."""
    assert listed(deleted=deleted).name == "v1"


@pytest.mark.parametrize(
    "fields",
    [
        *({"name": None}, {"name": 7}, {"namespace": []}),
        *({"Tag": 7}, {"Tag": None}, {"digest": "sha256:x"}, {"digest": 7}, {"digest": False}),
    ],
)
def test_an_entry_without_a_name_or_with_an_invalid_digest_raises(fields: dict[str, Any]) -> None:
    with pytest.raises(Unexpected):
        read_either(fields)


@given(
    st.dictionaries(
        st.sampled_from(sorted({**tag(), **repository()})),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2),
    )
)
def test_any_entry_is_read_or_raises_unexpected(fields: dict[str, Any]) -> None:
    for read, usual in ((read_tag, tag()), (read_repository, repository())):
        with contextlib.suppress(Unexpected):
            read({**usual, **fields})


@pytest.mark.parametrize(
    "document", [None, [], {}, {"config": 7}, {"config": {"mediaType": "a\nb"}}, {"config": {"mediaType": "a/" * 200}}]
)
def test_an_invalid_config_type_is_none(document: object) -> None:
    assert config_type_of(document) is None


# Times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z"),
        ("2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05-0130", "2026-01-02T04:34:05.000Z"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02 03:04:05.678 +0000 UTC", "2026-01-02T03:04:05.678Z"),
        (" 2026-01-02T03:04:05 ", "2026-01-02T03:04:05.000Z"),
        (1767323045.9, "2026-01-02T03:04:05.000Z"),
        (1767323045678, "2026-01-02T03:04:05.678Z"),
        ("1767323045678", "2026-01-02T03:04:05.678Z"),
    ],
)
def test_a_time_in_any_format_is_read(text: object, expected: str) -> None:
    assert parse_timestamp(text) == expected


INVALID = """2026-13-01T00:00:00Z 2026-02-30T00:00:00Z 2026-01-02T24:00:00Z 2026-01-02T03:04:60Z
2026-01-02T03:04:05+24:00 2026-01-02T03:04:05+02:60 0000-01-01T00:00:00Z 9999-12-31T23:59:59-01:00
0001-01-01T00:00:00+08:00 1970-01-01T08:00:00+08:00 2026-01-02 2026-01-02T03:04:05Zulu २०२६-01-02T03:04:05Z"""


@pytest.mark.parametrize(
    "value",
    [*INVALID.split(), "0000-00-00 00:00:00", "1767323045 ", 1, -1767323045, 10**40, float("nan"), float("inf"), True],
)
def test_an_invalid_or_zero_time_is_none(value: object) -> None:
    assert parse_timestamp(value) is None


@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9999, 12, 30)),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_time_is_converted_to_utc(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(microsecond=0, tzinfo=zone)
    found = parse_timestamp(moment.isoformat())
    assert found is not None
    assert len(found) == len("2026-01-02T03:04:05.678Z")
    assert found.endswith("Z")
    assert datetime.fromisoformat(found) == moment
