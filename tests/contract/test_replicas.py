"""Two adapters with one Redis: they share what they know, tenants stay separate, and nothing fails without Redis."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from adapter.swr.media_types import DOCKER_MANIFEST
from tests.contract.conftest import ORGANIZATION, OTHER, Start, put_back
from tests.contract.http import LARGE, Door, asked, digest_of, eventually, refused, silent
from tests.contract.test_mounts import DIGEST, mount, places
from tests.credentials import ACCESS_ID, STATE_PASSWORD, WRONG_SECRET, basic, canaries
from tests.running import OTHER_TENANT, TENANT, RunningAdapter, RunningSandbox
from tests.state.server import RedisServer, running_redis


@dataclass(frozen=True)
class Replicas:
    adapters: tuple[RunningAdapter, RunningAdapter]
    redis: RedisServer

    @property
    def doors(self) -> tuple[Door, Door]:
        one, other = self.adapters
        return Door(one.contract), Door(other.contract)

    def warnings(self) -> list[int]:
        return [adapter.service.output.count("continuing with local state") for adapter in self.adapters]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis(password=STATE_PASSWORD) as server:
        yield server


@pytest.fixture
def replicas(start: Start, redis: RedisServer) -> Replicas:
    return Replicas((start(state_url=redis.url), start(state_url=redis.url)), redis)


class TestShared:
    def test_mounts(self, replicas: Replicas, swr: RunningSandbox) -> None:
        """Where a blob is, that a source was deleted, and that SWR does not mount."""
        one, other = replicas.doors
        one.push("team/first", LARGE)
        assert places(one) == places(other) == ["team/first"]
        swr.store.blob_path("team/first", DIGEST).unlink()
        # The other replica knows the offer: it treats this client as it treats Harbor.
        refused(mount(other, "team/second", "team/first", harbor=False), 404)
        assert places(one) == []
        one.push("team/first", LARGE)
        assert mount(other, "team/second", "team/first").status == 201
        assert swr.store.read_blob("team/second", DIGEST) == LARGE
        assert places(one) == []

    def test_rejected_credentials(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, other = replicas.doors
        wrong = basic(ACCESS_ID, WRONG_SECRET)
        first = refused(one.ask("GET", "/v2/", authorization=wrong), 401)
        with silent(swr):
            again = refused(other.ask("GET", "/v2/", authorization=wrong), 401, "rejected the credentials")
            refused(other.ask("GET", "/api/v2.0/projects", authorization=wrong), 401)
        assert again.error["code"] == first.error["code"]
        assert other.ask("GET", "/v2/").status == 200

    def test_rate_limit(self, start: Start, swr: RunningSandbox, redis: RedisServer) -> None:
        # Higher than the limit of both replicas, because requests may be late, and lower than twice the limit.
        put_back(swr, rate=30)
        digests = [digest_of(bytes([number])) for number in range(50)]
        doors = [Door(start(state_url=redis.url, requests_per_second=20).contract) for _ in range(2)]

        def head(number: int) -> int:
            return doors[number % 2].ask("HEAD", f"/v2/{ORGANIZATION}/app/blobs/{digests[number]}").status

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(head, range(50))) == {404}
        assert [entry["status"] for entry in asked(swr) if entry["status"] in (429, 503)] == []


TENANTS = {"mine": (TENANT, basic(ACCESS_ID)), "theirs": (OTHER_TENANT, OTHER)}
"""By the prefix of all their names: the tenant and its credentials."""

OF_ONE = (
    "/api/v2.0/projects?name={0}",
    "/api/v2.0/projects/{0}/repositories?page_size=1",
    "/api/v2.0/projects/{0}/repositories?page=2&page_size=1&after={0}-0",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts?page_size=1",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts?page=2&page_size=1",
    "/api/v2.0/projects/{0}/repositories/{0}-0/artifacts/{0}-1",
    "/v2/{0}/{0}-0/tags/list?n=1",
    "/v2/{0}/{0}-0/tags/list?n=1&last={0}-0",
    "/v2/{0}/{0}-0/manifests/{0}-1",
    "/v2/{0}/{0}-0/blobs/{digest}",
)
"""Targets in an organization: missing or denied for the other tenant."""
OF_ALL = (
    "/api/v2.0/projects?name=&page_size=1",
    "/api/v2.0/projects?name=&page=2&page_size=1",
    "/api/v2.0/projects?q=name%3D%7B{0}%20{0}2%7D&page=2&page_size=1",
    "/v2/_catalog?n=1",
    "/v2/_catalog?n=1&last=a",
)
"""Targets at which each tenant sees its own."""


class TestSeparateTenants:
    def test_lists_manifests_and_blobs(self, replicas: Replicas, swr: RunningSandbox) -> None:
        """Later pages of a list that its owner has just begun come from a cache."""
        put_back(swr, organizations=0)
        for owner, (tenant, _) in TENANTS.items():
            self.fill(swr, owner, tenant)
        targets = OF_ONE + OF_ALL

        def check(client: str, door: Door, begin: int) -> None:
            door = Door(door.url, TENANTS[client][1])
            for target in targets[begin:] + targets[:begin]:
                for owner in TENANTS:
                    answer = door.ask("GET", target.format(owner, digest=digest_of(f"layer of {owner}".encode())))
                    if client == owner or target in OF_ALL:
                        assert answer.status == 200, (target, answer)
                        assert ("theirs" if client == "mine" else "mine").encode() not in answer.body, (target, answer)
                        own = client == owner and target in OF_ONE and "/manifests/" not in target
                        assert client.encode() in answer.body or not own, (target, answer)
                    else:
                        assert answer.status in (403, 404), (target, answer)
                        assert b'"digest"' not in answer.body, (target, answer)

        with ThreadPoolExecutor(8) as pool:
            jobs = [(client, door, begin) for begin in (0, 1, 4, 8) for client in TENANTS for door in replicas.doors]
            list(pool.map(check, *zip(*jobs, strict=True)))

    @staticmethod
    def fill(swr: RunningSandbox, owner: str, tenant: str) -> None:
        """Two organizations; in the first one two repositories with two artifacts each."""
        for organization in (owner, f"{owner}2"):
            swr.store.create_organization(organization, tenant)
        for repository in (f"{owner}/{owner}-0", f"{owner}/{owner}-1"):
            digest = swr.store.put_blob(repository, f"layer of {owner}".encode())
            for number in range(2):
                config = {"mediaType": "application/octet-stream", "digest": digest, "size": number}
                data = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": []})
                swr.store.put_manifest(repository, f"{owner}-{number}", data.encode(), DOCKER_MANIFEST)

    def test_no_secret_is_in_redis(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, _ = replicas.doors
        one.push("team/first", LARGE)
        places(one)
        mount(one, "team/second", "team/first")
        one.ask("GET", "/v2/", authorization=basic(ACCESS_ID, WRONG_SECRET))
        kinds = {key.split(":")[2] for key in replicas.redis.names()}
        assert kinds == {"accepted", "blob", "offer", "unmountable", "refused"}
        everything = replicas.redis.everything()
        assert not [secret for secret in canaries() if secret.encode() in everything]
        assert not any(STATE_PASSWORD in adapter.service.output for adapter in replicas.adapters)


class TestWithoutRedis:
    @pytest.mark.parametrize("failure", ["stops", "hangs"])
    def test_redis_fails_and_comes_back(self, replicas: Replicas, swr: RunningSandbox, failure: str) -> None:
        redis = replicas.redis
        with pushing(replicas) as pushed:

            def push_more() -> None:
                count = len(pushed)
                eventually(lambda: len(pushed) > count + 20)

            push_more()
            (redis.kill if failure == "stops" else redis.pause)()
            push_more()
            (redis.start if failure == "stops" else redis.go_on)()
            push_more()
        assert replicas.warnings() == [1, 1]

    def test_redis_was_never_there(self, start: Start, redis: RedisServer, swr: RunningSandbox) -> None:
        redis.kill()
        adapter = start(state_url=redis.url)
        door = Door(adapter.contract)
        door.push("team/first", LARGE)
        assert places(door) == ["team/first"]
        assert mount(door, "team/second", "team/first").status == 201
        assert adapter.service.output.count("continuing with local state") == 1
        assert STATE_PASSWORD not in adapter.service.output

    def test_wrong_password(self, start: Start, redis: RedisServer, swr: RunningSandbox) -> None:
        adapter = start(state_url=redis.url.replace(":CANARY", ":no"), log_level="debug")
        door = Door(adapter.contract)
        door.push("team/first", LARGE)
        assert places(door) == ["team/first"]
        assert adapter.service.output.count("rejected the password") == 1
        assert STATE_PASSWORD.removeprefix("CANARY") not in adapter.service.output


@contextlib.contextmanager
def pushing(replicas: Replicas) -> Iterator[list[str]]:
    """Pushes through both replicas all the time. At the end nothing may have failed."""
    pushed: list[str] = []
    stop = threading.Event()

    def work(number: int) -> None:
        door, numbers = replicas.doors[number % 2], random.Random(number)
        while not stop.is_set():
            data = numbers.randbytes(50)
            door.push(f"team/app{number}", data)
            assert places(door, digest_of(data)) in ([], [f"team/app{number}"])
            pushed.append(digest_of(data))

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        try:
            yield pushed
        finally:
            stop.set()
        for worker in workers:
            worker.result(30)
