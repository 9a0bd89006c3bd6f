from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.artifacts import Artifact, artifact_json, artifact_type, group_by_digest
from adapter.references import RepositoryName
from adapter.swr.catalog import ListedTag
from adapter.swr.media_types import DOCKER_MANIFEST, OCI_MANIFEST

REPOSITORY = RepositoryName("team", "a/b")
IMAGE = "application/vnd.docker.container.image.v1+json"


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def tag(name: str, of: str | None = digest("a"), **fields: Any) -> ListedTag:
    usual = {"media_type": DOCKER_MANIFEST, "size": 7, "pushed": None, "is_list": False}
    return ListedTag(name, of, **{**usual, **fields})


tags = st.lists(
    st.builds(
        tag, st.text("abcxyz0", min_size=1, max_size=4), st.sampled_from([None, digest("a"), digest("b"), digest("c")])
    ),
    unique_by=lambda each: each.name,
)


@given(tags)
def test_every_tag_is_in_one_artifact_of_its_digest(listed: list[ListedTag]) -> None:
    found = group_by_digest(listed)
    assert sorted(each.name for artifact in found for each in artifact.tags) == sorted(each.name for each in listed)
    assert all({each.digest for each in artifact.tags} == {artifact.digest} for artifact in found)
    known = [artifact.digest for artifact in found if artifact.digest]
    assert len(set(known)) == len(known)
    assert all(len(artifact.tags) == 1 for artifact in found if artifact.digest is None)


@given(tags, st.randoms())
def test_order_is_stable(listed: list[ListedTag], random: Any) -> None:
    found = group_by_digest(listed)
    random.shuffle(listed)
    assert group_by_digest(listed) == found
    assert [each.key for each in found] == sorted(each.key for each in found)
    assert all(
        [each.name for each in artifact.tags] == sorted(each.name for each in artifact.tags) for artifact in found
    )


def test_json() -> None:
    pair = (
        tag("v1", pushed="2026-01-02T00:00:00.000Z", config_type=IMAGE),
        tag("v2", size=None, pushed="2026-01-03T00:00:00.000Z"),
    )
    usual = {"pull_time": None, "immutable": False}
    assert artifact_json(REPOSITORY, Artifact(digest("a"), pair)) == {
        "type": "IMAGE",
        "media_type": IMAGE,
        "manifest_media_type": DOCKER_MANIFEST,
        "digest": digest("a"),
        "size": 7,
        "push_time": "2026-01-03T00:00:00.000Z",
        "pull_time": None,
        "repository_name": "team/a/b",
        "tags": [
            {"name": "v1", "push_time": "2026-01-02T00:00:00.000Z", **usual},
            {"name": "v2", "push_time": "2026-01-03T00:00:00.000Z", **usual},
        ],
        "labels": [],
        "references": None,
        "accessories": [],
    }


def test_json_of_a_tag_without_digest() -> None:
    shown = artifact_json(REPOSITORY, Artifact(None, (tag("v1", None, media_type=None, size=None),)))
    keys = ("digest", "type", "media_type", "size", "push_time")
    assert [shown[key] for key in keys] == ["", "IMAGE", None, None, None]


@pytest.mark.parametrize(
    ("config_type", "shown"),
    [
        (IMAGE, "IMAGE"),
        ("application/vnd.oci.image.config.v1+json", "IMAGE"),
        (None, "IMAGE"),
        ("application/vnd.cncf.helm.config.v1+json", "CHART"),
        ("application/vnd.wasm.config.v1+json", "WASM"),
        ("application/vnd.oci.empty.v1+json", "UNKNOWN"),
    ],
)
def test_type_and_media_type(config_type: str | None, shown: str) -> None:
    assert artifact_type(config_type, is_list=False) == shown
    assert artifact_type(config_type, is_list=True) == "IMAGE"
    tags = (tag("v", media_type=OCI_MANIFEST, config_type=config_type),)
    found = artifact_json(REPOSITORY, Artifact(digest("a"), tags))
    assert found["media_type"] == (config_type or OCI_MANIFEST)
