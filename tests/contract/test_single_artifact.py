"""The artifact that Harbor asks for by its digest or tag, against the sandbox (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import pytest

from adapter.swr.media_types import DOCKER_MANIFEST
from tests.contract.conftest import Start
from tests.contract.http import Door, digest_of, refused
from tests.contract.listing import manifest, of, seed, walk
from tests.running import RunningSandbox


def test_a_single_artifact(door: Door, swr: RunningSandbox) -> None:
    digest = seed(swr, "team/a/b", "v1", "latest")
    seed(swr, "team/a/b", "other", data=manifest(1))
    by_digest = door.ask("GET", f"{of('team/a/b')}/{digest}?with_accessory=true&with_tag=true")
    assert by_digest.status == 200, by_digest
    [listed] = [each for each in walk(door, of("team/a/b")) if each["digest"] == digest]
    assert by_digest.json == listed
    assert door.ask("GET", f"{of('team/a/b')}/v1").json == listed
    bare = door.ask("GET", f"{of('team/a/b')}/{digest}?with_tag=false").json
    assert bare == {**listed, "tags": [], "push_time": None}


def test_a_single_artifact_without_tags(door: Door, swr: RunningSandbox) -> None:
    child = digest_of(manifest(7))
    swr.store.put_manifest("team/app", child, manifest(7), DOCKER_MANIFEST)
    found = door.ask("GET", f"{of('team/app')}/{child}?with_accessory=true").json
    assert (found["digest"], found["tags"], found["push_time"]) == (child, [], None)


@pytest.mark.parametrize("code", ["4039002", "4040113"])
def test_a_single_artifact_whose_tags_may_not_be_listed(door: Door, swr: RunningSandbox, code: str) -> None:
    digest = seed(swr, "team/app", "v1", "v2")
    body = [{"errorCode": f"SVCSTG.SWR.{code}", "errorMessage": "no", "detail": ""}]
    swr.faults({"origin": "api", "path": "/tags", "status": int(code[:3]), "body": body, "times": 0})
    assert [each["name"] for each in door.ask("GET", f"{of('team/app')}/v2").json["tags"]] == ["v2"]
    assert door.ask("GET", f"{of('team/app')}/{digest}").json["tags"] == []


def test_a_single_artifact_while_the_account_is_locked(start: Start, swr: RunningSandbox) -> None:
    """The refusal is remembered, so this adapter serves no other test."""
    door = Door(start().contract)
    seed(swr, "team/app", "v1")
    body = {"error_code": "SVCSTG.SWR.4031033", "error_msg": "Not allow to login, upload or download image"}
    swr.faults({"origin": "api", "path": "/tags", "status": 403, "body": body, "times": 1})
    refused(door.ask("GET", f"{of('team/app')}/v1"), 403, "blocked this account")


def test_a_single_artifact_of_unknown_size(door: Door, swr: RunningSandbox) -> None:
    seed(swr, "team/app", "v1", data=b'{"schemaVersion": 2, "layers": [7]}')
    found = door.ask("GET", f"{of('team/app')}/v1?with_tag=false").json
    assert (found["size"], found["manifest_media_type"]) == (None, DOCKER_MANIFEST)


@pytest.mark.parametrize("reference", ["v9", digest_of(b"other")])
def test_an_artifact_that_is_not_there(door: Door, swr: RunningSandbox, reference: str) -> None:
    seed(swr, "team/app", "v1")
    refused(door.ask("GET", f"{of('team/app')}/{reference}"), 404)


@pytest.mark.parametrize("reference", ["sha256:x", "-", "a" * 200])
def test_a_reference_that_is_none(door: Door, reference: str) -> None:
    refused(door.ask("GET", f"{of('team/app')}/{reference}"), 400)
