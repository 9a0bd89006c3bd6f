from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import Unexpected
from adapter.references import RepositoryName
from adapter.swr.annotations import SOURCE_DIGEST, with_content_digest
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from adapter.swr.models import ListedRepository, ListedTag, config_type_of, read_repository, read_tag

DIGEST = "sha256:" + "a" * 64
IMAGE = "application/vnd.docker.container.image.v1+json"
CHART = "application/vnd.cncf.helm.config.v1+json"
ODD_SIZES: list[Any] = [-1, "big", True, 1.5, [], 2**63]


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


def test_a_repository() -> None:
    found = read_repository(repository())
    assert found == ListedRepository("team", "app", "2026-01-02T03:04:05.000Z")
    assert found.repository == RepositoryName("team", "app")


@pytest.mark.parametrize("name", ["a/b/c", "a$b$c"])
def test_a_nested_repository(name: str) -> None:
    assert read_repository(repository(name=name, updated_at="")) == ListedRepository("team", "a/b/c", None)


@pytest.mark.parametrize("name", ["", "UPPER", "a//b", "a b", "-", "a" * 300])
def test_a_repository_that_no_registry_could_name_is_left_out(name: str) -> None:
    assert read_repository(repository(name=name)) is None


@pytest.mark.parametrize("fields", [{"name": None}, {"name": 7}, {"namespace": []}])
def test_a_repository_that_makes_no_sense(fields: dict[str, Any]) -> None:
    with pytest.raises(Unexpected):
        read_repository(repository(**fields))


def test_a_tag_tells_the_original_that_it_stands_for() -> None:
    translated = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [], "annotations": {SOURCE_DIGEST: DIGEST}}
    data = with_content_digest(json.dumps(translated).encode())
    for manifest, source in ((data, DIGEST), (json.dumps(translated).encode(), None)):
        found = read_tag(tag(manifest=json.dumps(json.loads(manifest), indent=2)))
        assert found is not None
        assert found.source == source
    for nothing in (None, "", "{", 7):
        found = read_tag(tag(manifest=nothing))
        assert found is not None
        assert found.source is None


def test_a_tag() -> None:
    expected = ListedTag("v1", DIGEST, DOCKER_MANIFEST, 7, "2026-01-02T00:00:00.000Z", is_list=False, config_type=IMAGE)
    assert read_tag(tag()) == expected
    lower = tag()
    lower["tag"] = lower.pop("Tag")
    assert read_tag(lower) == expected


@pytest.mark.parametrize(
    ("manifest", "media_type", "config_type", "is_list"),
    [
        ({"mediaType": OCI_MANIFEST, "config": {"mediaType": CHART}}, OCI_MANIFEST, CHART, False),
        ({"config": {"mediaType": CHART}}, OCI_MANIFEST, CHART, False),
        ({"mediaType": OCI_INDEX, "manifests": []}, OCI_INDEX, None, True),
        ({"mediaType": DOCKER_LIST, "manifests": []}, DOCKER_LIST, None, True),
    ],
)
def test_types(manifest: dict[str, Any], media_type: str, config_type: str | None, is_list: bool) -> None:
    found = read_tag(tag(manifest=json.dumps(manifest)))
    assert found is not None
    assert (found.media_type, found.config_type, found.is_list) == (media_type, config_type, is_list)


@pytest.mark.parametrize("manifest", [None, "", "no JSON", "[]", "{}", 7, "[" * 100_000])
def test_types_without_a_manifest(manifest: object) -> None:
    def types(**fields: Any) -> tuple[str | None, bool]:
        found = read_tag(tag(manifest=manifest, **fields))
        assert found is not None
        return found.media_type, found.is_list

    assert types() == (DOCKER_MANIFEST, False)
    assert types(tag_type=1) == (DOCKER_LIST, True)
    assert types(schema=1) == ("application/vnd.docker.distribution.manifest.v1+prettyjws", False)
    assert types(schema="2", tag_type=0.0) == (DOCKER_MANIFEST, False)
    assert types(tag_type="1") == types(tag_type=1.0) == (DOCKER_LIST, True)
    odds: list[Any] = [None, [2], True, {}, "two", 2.5]
    for odd in odds:
        assert types(schema=odd, tag_type=odd) == (None, False)


@pytest.mark.parametrize("name", ["", "a b", ".", "a" * 129, "a:b", "ä"])
def test_a_name_that_is_no_tag_is_left_out(name: str) -> None:
    assert read_tag(tag(Tag=name)) is None


def test_a_deleted_tag_is_left_out() -> None:
    assert read_tag(tag(deleted="2026-01-03T00:00:00Z")) is None
    assert read_tag(tag(deleted=1767323045)) is None
    assert read_tag(tag(deleted=True)) is None


@pytest.mark.parametrize(
    "deleted", ["0001-01-01T00:00:00Z", "", "x", "false", False, 0, 1, [], {}, "1970-01-01T00:00:00Z"]
)
def test_a_tag_is_not_deleted_unless_it_says_so(deleted: object) -> None:
    """One that is left out would pass for deleted."""
    assert read_tag(tag(deleted=deleted)) is not None


@pytest.mark.parametrize("odd", ["soon", "0001-01-01T00:00:00Z", 7, False, [], {"seconds": 1}])
def test_times_that_cannot_be_read_refuse_nothing(odd: object) -> None:
    found = read_tag(tag(updated=odd, created=odd))
    assert found is not None
    assert found.pushed is None
    listed = read_repository(repository(updated_at=odd))
    assert listed is not None
    assert listed.updated is None


@pytest.mark.parametrize("fields", [{"digest": None}, {"digest": ""}, *({"size": odd} for odd in ODD_SIZES)])
def test_what_swr_does_not_tell(fields: dict[str, Any]) -> None:
    found = read_tag(tag(**fields))
    assert found is not None
    assert None in (found.digest, found.size)


@pytest.mark.parametrize(
    "pushed", [{"updated": ""}, {"updated": None}, {"updated": "soon"}, {"updated": "0001-01-01T00:00:00Z"}]
)
def test_without_an_update_the_creation_counts(pushed: dict[str, Any]) -> None:
    found = read_tag(tag(**pushed))
    assert found is not None
    assert found.pushed == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "fields", [{"Tag": 7}, {"Tag": None}, {"digest": "sha256:x"}, {"digest": 7}, {"digest": False}]
)
def test_a_tag_that_makes_no_sense(fields: dict[str, Any]) -> None:
    with pytest.raises(Unexpected):
        read_tag(tag(**fields))


@given(
    st.dictionaries(
        st.sampled_from(sorted(tag())),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2),
    )
)
def test_anything_is_read_or_refused(fields: dict[str, Any]) -> None:
    for read, usual in ((read_tag, tag()), (read_repository, repository())):
        try:
            read({**usual, **fields})
        except Unexpected:
            continue


@pytest.mark.parametrize(
    "document", [None, [], {}, {"config": 7}, {"config": {"mediaType": "a\nb"}}, {"config": {"mediaType": "a/" * 200}}]
)
def test_no_configuration(document: object) -> None:
    assert config_type_of(document) is None
