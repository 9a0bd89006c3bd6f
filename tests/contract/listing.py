"""Helpers for lists and projects: images to list, and requests as Harbor sends them (`docs/facts/harbor.md D.4`)."""

from __future__ import annotations

import json
from typing import Any

from adapter.swr.media_types import DOCKER_MANIFEST
from tests.contract.conftest import ORGANIZATION
from tests.contract.http import Answer, Door, digest_of
from tests.contract.test_pagination import next_in
from tests.running import RunningSandbox

CONFIG = "application/vnd.docker.container.image.v1+json"
CHART = "application/vnd.cncf.helm.config.v1+json"
PROJECTS = f"/api/v2.0/projects/{ORGANIZATION}/repositories"
HARBORS_QUERY = "page_size=100&with_label=true&with_accessory=true"


def manifest(number: int = 0, media_type: str = DOCKER_MANIFEST, config: str = CONFIG) -> bytes:
    parts = [{"digest": f"sha256:{number:064x}", "size": 100 + number, "mediaType": config}, {"size": 1000}]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": parts[0], "layers": parts[1:]}).encode()


def seed(swr: RunningSandbox, repository: str, *tags: str, data: bytes = b"", media_type: str = DOCKER_MANIFEST) -> str:
    for tag in tags:
        swr.store.put_manifest(repository, tag, data or manifest(), media_type)
    return digest_of(data or manifest())


def many(swr: RunningSandbox, repository: str, count: int) -> set[str]:
    """Creates `count` artifacts with one tag each and returns their digests."""
    return {seed(swr, repository, f"t{number:03}", data=manifest(number)) for number in range(count)}


def of(repository: str) -> str:
    """The path of the artifacts of a repository, as Harbor sends it."""
    organization, _, path = repository.partition("/")
    return f"/api/v2.0/projects/{organization}/repositories/{path.replace('/', '%252F')}/artifacts"


def walk(door: Door, target: str) -> list[Any]:
    """The entries of all pages, by the links that Harbor follows."""
    entries: list[Any] = []
    while target:
        answer = door.ask("GET", target)
        assert answer.status == 200, answer
        entries += answer.json
        target = next_in(answer.headers.get("Link", ""))
    return entries


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [each["name"] for each in answer.json]


def create(door: Door, name: object, **options: Any) -> Answer:
    body = json.dumps({"project_name": name, "metadata": {"public": "false"}}).encode()
    return door.ask("POST", "/api/v2.0/projects", body, {"Content-Type": "application/json"}, **options)


def projects(door: Door, query: str, **options: Any) -> Answer:
    return door.ask("GET", f"/api/v2.0/projects?{query}", **options)
