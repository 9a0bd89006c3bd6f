"""The rate limit of several replicas, each with its own `RateLimit`, on one real server."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from adapter.errors import Throttled
from adapter.state import RedisClient
from adapter.state.shared import PREFIX
from adapter.swr.rate_limit import RateLimit
from adapter.swr.tenants import Tenants
from tests.state.server import RedisServer, running_redis
from tests.swr.grant_times import grant_times, keeps_to_ten_a_second


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


def test_no_second_has_more_than_the_limit_of_one(server: RedisServer) -> None:
    taken = grant_times([RateLimit(10, RedisClient(server.url)) for _ in range(3)], 35)
    assert server.client.llen(server.names()[0]) == 10
    assert keeps_to_ten_a_second(taken)


def test_turns_come_in_order_and_none_is_lost(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.swr.rate_limit.WINDOW_SECONDS", 3.0)
    first, second = RateLimit(2, RedisClient(server.url)), RateLimit(2, RedisClient(server.url))
    first.take("a", 0.01)
    second.take("a", 0.01)
    with pytest.raises(Throttled) as caught:
        first.take("a", 0.01)
    assert caught.value.retry_after is not None
    # Who was sent away took no turn from those that wait.
    assert server.client.llen(server.names()[0]) == 2
    second.take("a", 10)


def test_accounts_do_not_share(server: RedisServer) -> None:
    limit = RateLimit(0.1, RedisClient(server.url))
    for account in "abc":
        limit.take(account, 0.01)
    assert len(server.names()) == 3


def test_an_account_that_may_be_a_mistyped_secret_is_no_key(server: RedisServer) -> None:
    RateLimit(0.1, RedisClient(server.url)).take("eu-de/AKCANARY00000000000A", 0.01)
    assert b"AKCANARY" not in server.everything()
    assert server.names()[0].startswith(PREFIX + "rate-limit:1:11.000:")


def test_keys_do_not_stay(server: RedisServer) -> None:
    RateLimit(0.1, RedisClient(server.url)).take("a", 0.01)
    assert 0 < server.client.pttl(server.names()[0]) <= 11_000


def test_less_than_one_a_second(server: RedisServer) -> None:
    limit = RateLimit(0.1, RedisClient(server.url))
    limit.take("a", 0.01)
    with pytest.raises(Throttled):
        limit.take("a", 1.1)


def test_a_clock_that_was_set_back_locks_nobody_out(server: RedisServer) -> None:
    limit = RateLimit(0.1, RedisClient(server.url))
    limit.take("a", 0.01)
    (key,) = server.names()
    server.client.lset(key, 0, str(int((time.time() + 86_400) * 1e6)))
    limit.take("a", 0.01)
    # The server gave the turn, and not this process in its place.
    newest = server.client.lindex(key, 0)
    assert newest is not None
    assert int(newest) < (time.time() + 3600) * 1e6


def test_without_the_server_each_keeps_to_it_alone(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    limit = RateLimit(10, RedisClient(server.url))
    limit.take("eu-de/AK", 1)
    server.kill()
    taken = grant_times([limit], 25)
    assert keeps_to_ten_a_second(taken)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_server_that_hangs_fails_no_request(server: RedisServer) -> None:
    limit = RateLimit(1000, RedisClient(server.url))
    limit.take("a", 1)
    server.pause()
    try:
        assert len(grant_times([limit], 30)) == 30
    finally:
        server.go_on()


def test_the_server_gives_the_turns_that_a_process_gives(server: RedisServer) -> None:
    """One algorithm, in two languages."""
    for per_second in (0.5, 1, 3):
        here, there = RateLimit(per_second), RateLimit(per_second, RedisClient(server.url))
        found = [[limit._take_turn("a", 9) for _ in range(12)] for limit in (here, there)]
        assert [given for given, _ in found[0]] == [given for given, _ in found[1]]
        windows = [[round(wait / here._window) for _, wait in each] for each in found]
        assert windows[0] == windows[1]


def test_what_nobody_here_wrote_is_no_turn(server: RedisServer) -> None:
    limit = RateLimit(1, RedisClient(server.url))
    limit.take("a", 1)
    (key,) = server.names()
    server.client.delete(key)
    server.client.rpush(key, "soon")
    limit.take("a", 1)
    # On the server: a fallback to the process would leave the value there.
    assert server.client.lindex(key, 0) != b"soon"


def test_a_tenant_is_one_key_and_not_named_in_it(server: RedisServer) -> None:
    limit = RateLimit(10, RedisClient(server.url), Tenants({"acme": ["AKCANARY00000000000A", "AKCANARY00000000000B"]}))
    for access_key in "AB":
        limit.take(f"eu-de/AKCANARY00000000000{access_key}", 1)
    assert len(server.names()) == 1
    assert b"acme" not in server.everything()
