"""Two adapters on one Redis: what one knows serves the other, and nothing fails when the Redis does."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.contract.conftest import ORGANIZATION, Start, put_back
from tests.contract.http import LARGE, Door, asked, digest_of, eventually, refused, silent
from tests.contract.test_mounts import DIGEST, OTHER, mount, places
from tests.credentials import ACCESS_ID, STATE_PASSWORD, WRONG_SECRET, basic, canaries
from tests.running import OTHER_TENANT, RunningAdapter, RunningSandbox
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
    def test_where_a_blob_is(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, other = replicas.doors
        one.push("team/first", LARGE)
        assert places(other) == ["team/first"]
        assert mount(other, "team/second", "team/first").status == 201
        assert swr.store.read_blob("team/second", DIGEST) == LARGE

    def test_that_swr_does_not_mount(self, replicas: Replicas) -> None:
        one, other = replicas.doors
        one.push("team/first", LARGE)
        assert mount(one, "team/second", "team/first").status == 201
        assert places(other) == []

    def test_that_a_source_has_gone(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, other = replicas.doors
        one.push("team/first", LARGE)
        swr.store.blob_path("team/first", DIGEST).unlink()
        refused(mount(other, "team/second", "team/first"), 404)
        assert places(one) == []

    def test_an_invitation(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, other = replicas.doors
        one.push("team/first", LARGE)
        assert places(one) == ["team/first"]
        swr.store.blob_path("team/first", DIGEST).unlink()
        refused(mount(other, "team/second", "team/first", harbor=False), 404)

    def test_refused_credentials(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, other = replicas.doors
        wrong = basic(ACCESS_ID, WRONG_SECRET)
        first = refused(one.ask("GET", "/v2/", authorization=wrong), 401)
        with silent(swr):
            again = refused(other.ask("GET", "/v2/", authorization=wrong), 401)
            refused(other.ask("GET", "/api/v2.0/projects", authorization=wrong), 401)
        assert again.error["code"] == first.error["code"]
        assert "rejected the credentials" in again.message
        assert other.ask("GET", "/v2/").status == 200

    def test_the_request_budget(self, start: Start, swr: RunningSandbox, redis: RedisServer) -> None:
        # More than the replicas may send, as a request may be late on its way, and less than each of them alone would.
        put_back(swr, rate=30)
        digests = [digest_of(bytes([number])) for number in range(50)]
        settings = {"state_url": redis.url, "requests_per_second": 20}
        doors = [Door(start(**settings).contract) for _ in range(2)]

        def head(number: int) -> int:
            return doors[number % 2].ask("HEAD", f"/v2/{ORGANIZATION}/app/blobs/{digests[number]}").status

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(head, range(50))) == {404}
        assert [entry["status"] for entry in asked(swr) if entry["status"] in (429, 503)] == []


class TestApart:
    def test_accounts_under_load(self, replicas: Replicas, swr: RunningSandbox) -> None:
        swr.store.create_organization("theirs", OTHER_TENANT)
        layers = [random.Random(number).randbytes(100) for number in range(12)]
        mine = [(Door(door.url), "team", f"team/app{number}") for number, door in enumerate(replicas.doors)]
        theirs = [
            (Door(door.url, OTHER), "theirs", f"theirs/app{number}") for number, door in enumerate(replicas.doors)
        ]
        begin = threading.Barrier(len(mine + theirs))
        foreign: list[tuple[str, list[str]]] = []

        def work(of: tuple[Door, str, str]) -> None:
            door, organization, repository = of
            begin.wait()
            for layer in layers:
                door.push(repository, layer)
                for _ in range(3):
                    found = places(door, digest_of(layer))
                    if not all(name.startswith(f"{organization}/") for name in found):
                        foreign.append((organization, found))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, mine + theirs))
        assert foreign == []
        assert all(places(of[0], digest_of(layer)) for of in mine + theirs for layer in layers)

    def test_no_secret_is_kept(self, replicas: Replicas, swr: RunningSandbox) -> None:
        one, _ = replicas.doors
        one.push("team/first", LARGE)
        places(one)
        mount(one, "team/second", "team/first")
        one.ask("GET", "/v2/", authorization=basic(ACCESS_ID, WRONG_SECRET))
        kinds = {key.split(":")[2] for key in replicas.redis.names()}
        assert kinds == {"accepted", "blob", "offer", "unmountable", "refused"}
        kept = replicas.redis.everything()
        assert not [secret for secret in canaries() if secret.encode() in kept]
        assert not any(STATE_PASSWORD in adapter.service.output for adapter in replicas.adapters)


class TestWithoutIt:
    def test_it_dies_and_comes_back_in_the_middle(self, replicas: Replicas, swr: RunningSandbox) -> None:
        with pushing(replicas) as pushed:
            eventually(lambda: len(pushed) > 20)
            replicas.redis.kill()
            seen = len(pushed)
            eventually(lambda: len(pushed) > seen + 20)
            replicas.redis.start()
            seen = len(pushed)
            eventually(lambda: len(pushed) > seen + 20)
        assert replicas.warnings() == [1, 1]

    def test_it_hangs(self, replicas: Replicas, swr: RunningSandbox) -> None:
        with pushing(replicas) as pushed:
            eventually(lambda: len(pushed) > 20)
            replicas.redis.pause()
            try:
                seen = len(pushed)
                eventually(lambda: len(pushed) > seen + 40)
            finally:
                replicas.redis.go_on()
        assert replicas.warnings() == [1, 1]

    def test_it_was_never_there(self, start: Start, redis: RedisServer, swr: RunningSandbox) -> None:
        url = redis.url
        redis.kill()
        adapter = start(state_url=url)
        door = Door(adapter.contract)
        door.push("team/first", LARGE)
        assert places(door) == ["team/first"]
        assert mount(door, "team/second", "team/first").status == 201
        assert adapter.service.output.count("continuing with local state") == 1
        assert STATE_PASSWORD not in adapter.service.output

    def test_the_password_is_wrong(self, start: Start, redis: RedisServer, swr: RunningSandbox) -> None:
        adapter = start(state_url=redis.url.replace(":CANARY", ":no"), log_level="debug")
        door = Door(adapter.contract)
        door.push("team/first", LARGE)
        assert places(door) == ["team/first"]
        assert adapter.service.output.count("rejected the password") == 1
        assert STATE_PASSWORD.removeprefix("CANARY") not in adapter.service.output


@contextlib.contextmanager
def pushing(replicas: Replicas) -> Iterator[list[str]]:
    """Pushes and looks through both replicas all the time; in the end nothing of it may have failed."""
    pushed: list[str] = []
    failed: list[object] = []
    over = threading.Event()

    def work(number: int) -> None:
        door, numbers = replicas.doors[number % 2], random.Random(number)
        while not over.is_set():
            data = numbers.randbytes(50)
            try:
                door.push(f"team/app{number}", data)
                assert places(door, digest_of(data)) in ([], [f"team/app{number}"])
            except Exception as error:  # noqa: BLE001 - every kind counts, and the test must end
                failed.append(error)
                return
            pushed.append(digest_of(data))

    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            pool.submit(work, number)
        try:
            yield pushed
        finally:
            over.set()
    assert failed == []
