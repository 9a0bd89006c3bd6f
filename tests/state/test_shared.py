from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from adapter.state import MemoryState, RedisClient, SharedState, State, open_state
from adapter.state.redis_client import RETRY_SECONDS
from adapter.state.shared import PREFIX
from adapter.swr.rate_limit import RateLimit
from tests.clock import Clock
from tests.contract.http import eventually
from tests.credentials import STATE_PASSWORD
from tests.state.server import RedisServer, running_redis


def test_the_setting_selects_the_store() -> None:
    assert isinstance(open_state("memory://")[0], MemoryState)
    assert open_state("memory://")[1] is None
    state, link = open_state("redis://127.0.0.1:1")
    assert isinstance(state, SharedState)
    assert isinstance(link, RedisClient)


def test_a_value_is_shared_until_it_expires_or_is_dropped(server: RedisServer) -> None:
    one, other = SharedState(RedisClient(server.url)), SharedState(RedisClient(server.url))
    one.put("a", b"\x00\xff", 10)
    assert server.names() == ["harbor-swr-adapter:1:a"]
    assert other.get("a") == b"\x00\xff"
    other.drop("a")
    assert one.get("a") is None
    one.put("a", b"1", 0.05)
    one.put("b", b"1", 60)
    eventually(lambda: other.get("a") is None)
    assert other.get("b") == b"1"
    assert 0 < int(server.client.pttl(PREFIX + "b")) <= 60_000
    # A value of another type.
    server.client.lpush(PREFIX + "c", "x")
    assert one.get("c") is None


def test_memory_is_used_without_the_server(server: RedisServer) -> None:
    clock = Clock(time.monotonic())
    state = SharedState(RedisClient(server.url, clock))
    state.put("before", b"1", 60)
    server.kill()
    assert state.get("before") is None
    state.put("meanwhile", b"2", 60)
    assert state.get("meanwhile") == b"2"
    state.put("large", bytes(4097), 60)
    assert state.get("large") is None
    state.drop("meanwhile")
    assert state.get("meanwhile") is None
    state.put("meanwhile", b"3", 60)
    server.start()
    clock.now += RETRY_SECONDS + 1
    state.put("after", b"4", 60)
    assert state.get("after") == b"4"
    assert server.names() == [PREFIX + "after"]


def test_a_full_server_fails_no_request() -> None:
    with running_redis(options={"maxmemory": "1", "maxmemory-policy": "noeviction"}) as server:
        state: State = SharedState(RedisClient(server.url))
        state.put("a", b"1", 60)
        assert state.get("a") == b"1"
        assert server.names() == []


ACL = (
    "user adapter on >PASSWORD resetkeys ~harbor-swr-adapter:* resetchannels -@all "
    "+select +get +set +del +eval +time +lindex +lpush +ltrim +pexpire"
)


def test_the_documented_permissions_are_sufficient(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    assert ACL in Path("docs/replicas.md").read_text()
    words = ACL.replace("PASSWORD", STATE_PASSWORD).split()
    administrator: Any = server.client
    administrator.execute_command("ACL", "SETUSER", *words[1:])
    link = RedisClient(server.url.replace("redis://", f"redis://adapter:{STATE_PASSWORD}@"))
    state = SharedState(link)
    state.put("a", b"1", 10)
    assert state.get("a") == b"1"
    state.drop("a")

    def spent() -> list[str]:
        for _ in range(3):
            RateLimit(100, link).take("a", 1)
        return [name.split(":")[2] for name in server.names()]

    # The turns expire after a second.
    eventually(lambda: spent() == ["rate-limit"])
    assert caplog.records == []
