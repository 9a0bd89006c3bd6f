"""What tests of the lists share: images to list, and how Harbor walks a list (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import json
from typing import Any

from adapter.swr.media_types import DOCKER_MANIFEST
from tests.contract.conftest import ORGANIZATION
from tests.contract.http import Answer, Door, digest_of
from tests.contract.test_pagination import next_in
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, basic
from tests.running import RunningSandbox

CONFIG = "application/vnd.docker.container.image.v1+json"
CHART = "application/vnd.cncf.helm.config.v1+json"
PROJECTS = f"/api/v2.0/projects/{ORGANIZATION}/repositories"
HARBORS_QUERY = "page_size=100&with_label=true&with_accessory=true"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def manifest(number: int = 0, media_type: str = DOCKER_MANIFEST, config: str = CONFIG) -> bytes:
    parts = [{"digest": f"sha256:{number:064x}", "size": 100 + number, "mediaType": config}, {"size": 1000}]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": parts[0], "layers": parts[1:]}).encode()


def seed(swr: RunningSandbox, repository: str, *tags: str, data: bytes = b"", media_type: str = DOCKER_MANIFEST) -> str:
    for tag in tags:
        swr.store.put_manifest(repository, tag, data or manifest(), media_type)
    return digest_of(data or manifest())


def many(swr: RunningSandbox, repository: str, count: int) -> set[str]:
    """So many artifacts with a tag each; their digests."""
    return {seed(swr, repository, f"t{number:03}", data=manifest(number)) for number in range(count)}


def of(repository: str) -> str:
    """Where Harbor asks for the artifacts of a repository."""
    organization, _, path = repository.partition("/")
    return f"/api/v2.0/projects/{organization}/repositories/{path.replace('/', '%252F')}/artifacts"


def login_key(url: str) -> Door:
    return Door(url, basic(ACCESS_ID, LOGIN_KEY))


def other(url: str) -> Door:
    return Door(url, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY))


def walk(door: Door, target: str, between: Any = None) -> list[Any]:
    """All entries, by the links that Harbor follows; `between` is called after each page."""
    entries: list[Any] = []
    while target:
        answer = door.ask("GET", target)
        assert answer.status == 200, answer
        entries += answer.json
        target = next_in(answer.headers.get("Link", ""))
        if between is not None:
            between()
    return entries


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [each["name"] for each in answer.json]
