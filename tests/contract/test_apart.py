"""Two accounts, two replicas, one Redis, all at once: neither account is ever answered with what is the other's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from adapter.swr.media_types import DOCKER_MANIFEST
from tests.contract.conftest import Start, put_back
from tests.contract.http import Door, digest_of
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, STATE_PASSWORD, basic
from tests.running import OTHER_TENANT, TENANT, RunningSandbox
from tests.state.server import running_redis

ACCOUNTS = {
    "mine": (TENANT, basic(ACCESS_ID)),
    "theirs": (OTHER_TENANT, basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)),
}
"""By the name that everything of an account's begins with."""

OF_ONE = (
    "/api/v2.0/projects?name={0}",
    "/api/v2.0/projects/{0}/repositories?page_size=1",
    "/api/v2.0/projects/{0}/repositories?page=2&page_size=1",
    "/api/v2.0/projects/{0}/repositories?page=2&page_size=1&after={0}-0",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts?page_size=1",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts?page=2&page_size=1",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts?page=2&page_size=1&after=sha256:0",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts/{0}-1",
    "/v2/{0}/{0}-0/tags/list?n=1",
    "/v2/{0}/{0}-0/tags/list?n=1&last={0}-0",
    "/v2/{0}/{0}-0/manifests/{0}-1",
    "/v2/{0}/{0}-0/blobs/{digest}",
)
"""What is one organization's: to the other account it is not there, or denied."""

OF_ALL = (
    "/api/v2.0/projects?name=&page_size=1",
    "/api/v2.0/projects?name=&page=2&page_size=1",
    "/api/v2.0/projects?q=name%3D%7B{0}%20{0}2%7D&page=2&page_size=1",
    "/v2/_catalog?n=1",
    "/v2/_catalog?n=1&last=a",
)
"""What both may ask, each for its own."""


@dataclass(frozen=True)
class Asked:
    asker: str
    whose: str
    target: str
    status: int
    body: bytes


@pytest.fixture
def replicas(start: Start, swr: RunningSandbox) -> Iterator[list[str]]:
    with running_redis(password=STATE_PASSWORD) as redis:
        yield [start(state_url=redis.url).contract for _ in range(2)]


def layer(whose: str) -> bytes:
    return f"a layer of {whose}".encode()


def fill(swr: RunningSandbox, whose: str) -> None:
    """Two organizations, in the first two repositories, in each two artifacts."""
    for organization in (whose, f"{whose}2"):
        swr.store.create_organization(organization, ACCOUNTS[whose][0])
    for repository in (f"{whose}/{whose}-0", f"{whose}/{whose}-1"):
        digest = swr.store.put_blob(repository, layer(whose))
        for number in range(2):
            config = {"mediaType": "application/octet-stream", "digest": digest, "size": number}
            data = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": []})
            swr.store.put_manifest(repository, f"{whose}-{number}", data.encode(), DOCKER_MANIFEST)


def ask_all(url: str, asker: str, begin: int) -> list[Asked]:
    """Everything of both accounts, from a place in the row on, so that no two do the same at once."""
    door = Door(url, ACCOUNTS[asker][1])
    answers = []
    for target in (OF_ONE + OF_ALL)[begin:] + (OF_ONE + OF_ALL)[:begin]:
        for whose in ACCOUNTS:
            answer = door.ask("GET", target.format(whose, digest=digest_of(layer(whose))))
            answers.append(Asked(asker, whose, target, answer.status, answer.body))
    return answers


def test_lists_and_what_they_lead_to(replicas: list[str], swr: RunningSandbox) -> None:
    """A page that continues what its owner has just begun to list is what a cache would give away first."""
    put_back(swr, organizations=0)
    for whose in ACCOUNTS:
        fill(swr, whose)
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(ask_all, url, asker, begin) for begin in (0, 1, 4, 8) for asker in ACCOUNTS for url in replicas
        ]
        answers = [answer for call in calls for answer in call.result()]
    for each in answers:
        other = next(name for name in ACCOUNTS if name != each.asker).encode()
        if each.whose == each.asker or each.target in OF_ALL:
            assert each.status == 200, each
            assert other not in each.body, each
        else:
            assert each.status in (403, 404), each
            assert b'"digest"' not in each.body, each
    own = [each for each in answers if each.whose == each.asker and each.target in OF_ONE]
    assert [each for each in own if each.whose.encode() not in each.body and "/manifests/" not in each.target] == []
