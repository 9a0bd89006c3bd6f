"""The rate limit of several replicas, each with its own `RateLimit`, on one real server."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.state import RedisClient
from adapter.state.shared import PREFIX
from adapter.swr.rate_limit import RateLimit
from adapter.swr.tenants import Tenants
from tests.state.server import RedisServer, running_redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


def grant_times(limits: list[RateLimit], count: int) -> list[float]:
    """When each of `count` requests went, in seconds."""
    began = time.monotonic()
    granted: list[float] = []

    def take(number: int) -> None:
        limits[number % len(limits)].take("eu-de/AK", 30)
        granted.append(time.monotonic() - began)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(take, range(count)))
    return sorted(granted)


def keeps_to_ten_per_second(granted: list[float]) -> bool:
    return all(at > 1.1 * (number // 10) - 0.02 for number, at in enumerate(granted))


def test_replicas_together_keep_the_limit(server: RedisServer) -> None:
    taken = grant_times([RateLimit(10, RedisClient(server.url)) for _ in range(3)], 35)
    assert server.client.llen(server.names()[0]) == 10
    assert keeps_to_ten_per_second(taken)


def test_a_key_contains_no_account_and_expires(server: RedisServer) -> None:
    """What is entered as an access key may be a secret."""
    limit = RateLimit(0.1, RedisClient(server.url))
    for account in ("eu-de/AKCANARY00000000000A", "b"):
        limit.take(account, 0.01)
    assert b"AKCANARY" not in server.everything()
    assert len(server.names()) == 2
    for name in server.names():
        assert name.startswith(PREFIX + "rate-limit:1:11.000:")
        assert 0 < server.client.pttl(name) <= 11_000


@pytest.mark.parametrize("value", ["soon", "in a day"])
def test_an_invalid_or_far_turn_is_replaced(server: RedisServer, value: str) -> None:
    """A turn in the far future is from before the clock of the server was set back."""
    limit = RateLimit(0.1, RedisClient(server.url))
    limit.take("a", 0.01)
    (key,) = server.names()
    server.client.delete(key)
    server.client.rpush(key, value if value == "soon" else str(int((time.time() + 86_400) * 1e6)))
    limit.take("a", 0.01)
    # A fallback to the process would leave the value on the server.
    newest = server.client.lindex(key, 0)
    assert newest is not None
    assert int(newest) < (time.time() + 3600) * 1e6


def test_without_the_server_each_replica_keeps_the_limit(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    limit = RateLimit(10, RedisClient(server.url))
    limit.take("eu-de/AK", 1)
    server.kill()
    assert keeps_to_ten_per_second(grant_times([limit], 25))
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_server_that_hangs_fails_no_request(server: RedisServer) -> None:
    limit = RateLimit(1000, RedisClient(server.url))
    limit.take("a", 1)
    server.pause()
    try:
        assert len(grant_times([limit], 30)) == 30
    finally:
        server.go_on()


def test_the_script_and_the_process_give_equal_turns(server: RedisServer) -> None:
    """One algorithm, in Python and in Lua."""
    for per_second in (0.5, 1, 3):
        here, there = RateLimit(per_second), RateLimit(per_second, RedisClient(server.url))
        found = [[limit._take_turn("a", 9) for _ in range(12)] for limit in (here, there)]
        assert [given for given, _ in found[0]] == [given for given, _ in found[1]]
        windows = [[round(wait / here._window) for _, wait in each] for each in found]
        assert windows[0] == windows[1]


def test_a_tenant_has_one_key_without_its_name(server: RedisServer) -> None:
    limit = RateLimit(10, RedisClient(server.url), Tenants({"acme": ["AKCANARY00000000000A", "AKCANARY00000000000B"]}))
    for access_key in "AB":
        limit.take(f"eu-de/AKCANARY00000000000{access_key}", 1)
    assert len(server.names()) == 1
    assert b"acme" not in server.everything()
