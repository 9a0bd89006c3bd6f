"""The request budget of several replicas, each with its own `Budget`, on one real server."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from adapter.errors import Throttled
from adapter.state import Link
from adapter.state.shared import PREFIX
from adapter.swr.budget import Budget
from tests.state.server import RedisServer, running_redis
from tests.swr.takings import keeps_to_ten_a_second, takings


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


def test_no_second_has_more_than_the_budget_of_one(server: RedisServer) -> None:
    taken = takings([Budget(10, Link(server.url)) for _ in range(3)], 35)
    assert server.client.llen(server.names()[0]) == 10
    assert keeps_to_ten_a_second(taken)


def test_turns_come_in_order_and_none_is_lost(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.swr.budget._WINDOW", 3.0)
    first, second = Budget(2, Link(server.url)), Budget(2, Link(server.url))
    first.take("a", 0.01)
    second.take("a", 0.01)
    with pytest.raises(Throttled) as caught:
        first.take("a", 0.01)
    assert caught.value.retry_after is not None
    # Who was sent away took no turn from those that wait.
    assert server.client.llen(server.names()[0]) == 2
    second.take("a", 10)


def test_accounts_do_not_share(server: RedisServer) -> None:
    budget = Budget(0.1, Link(server.url))
    for account in "abc":
        budget.take(account, 0.01)
    assert len(server.names()) == 3


def test_an_account_that_may_be_a_mistyped_secret_is_no_key(server: RedisServer) -> None:
    Budget(0.1, Link(server.url)).take("eu-de/AKCANARY00000000000A", 0.01)
    assert b"AKCANARY" not in server.everything()
    assert server.names()[0].startswith(PREFIX + "budget:1:11.000:")


def test_keys_do_not_stay(server: RedisServer) -> None:
    Budget(0.1, Link(server.url)).take("a", 0.01)
    assert 0 < server.client.pttl(server.names()[0]) <= 11_000


def test_less_than_one_a_second(server: RedisServer) -> None:
    budget = Budget(0.1, Link(server.url))
    budget.take("a", 0.01)
    with pytest.raises(Throttled):
        budget.take("a", 1.1)


def test_a_clock_that_was_set_back_locks_nobody_out(server: RedisServer) -> None:
    budget = Budget(0.1, Link(server.url))
    budget.take("a", 0.01)
    (key,) = server.names()
    server.client.lset(key, 0, str(int((time.time() + 86_400) * 1e6)))
    budget.take("a", 0.01)


def test_without_the_server_each_keeps_to_it_alone(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    budget = Budget(10, Link(server.url))
    budget.take("eu-de/AK", 1)
    server.kill()
    taken = takings([budget], 25)
    assert keeps_to_ten_a_second(taken)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_server_that_hangs_fails_no_request(server: RedisServer) -> None:
    budget = Budget(1000, Link(server.url))
    budget.take("a", 1)
    server.pause()
    try:
        assert len(takings([budget], 30)) == 30
    finally:
        server.go_on()
