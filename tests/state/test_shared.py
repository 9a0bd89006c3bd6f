from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapter.state import MemoryState, RedisClient, SharedState, State, open_state
from adapter.state.redis_client import RETRY_SECONDS
from adapter.state.shared import PREFIX
from adapter.swr.rate_limit import RateLimit
from tests.contract.http import eventually
from tests.credentials import STATE_PASSWORD
from tests.state.server import RedisServer, running_redis
from tests.state.test_link import Clock


def test_the_setting_decides() -> None:
    assert isinstance(open_state("memory://")[0], MemoryState)
    assert open_state("memory://")[1] is None
    state, link = open_state("redis://127.0.0.1:1")
    assert isinstance(state, SharedState)
    assert isinstance(link, RedisClient)


def test_two_replicas_see_the_same(server: RedisServer) -> None:
    one, other = SharedState(RedisClient(server.url)), SharedState(RedisClient(server.url))
    one.put("a", b"\x00\xff", 10)
    assert other.get("a") == b"\x00\xff"
    other.drop("a")
    assert one.get("a") is None
    assert one.get("never there") is None


def test_a_value_lives_for_its_time(server: RedisServer) -> None:
    state = SharedState(RedisClient(server.url))
    state.put("a", b"1", 0.05)
    state.put("b", b"1", 60)
    eventually(lambda: state.get("a") is None)
    assert state.get("b") == b"1"
    assert 0 < int(server.client.pttl(PREFIX + "b")) <= 60_000


def test_keys_are_set_apart_from_what_else_is_there(server: RedisServer) -> None:
    SharedState(RedisClient(server.url)).put("a", b"1", 10)
    assert server.names() == ["harbor-swr-adapter:1:a"]


def test_without_the_server_it_is_memory(server: RedisServer) -> None:
    clock = Clock()
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
    clock.ahead += RETRY_SECONDS + 1
    state.put("after", b"4", 60)
    assert state.get("after") == b"4"
    assert server.names() == [PREFIX + "after"]


def test_a_full_server_costs_no_request() -> None:
    with running_redis(options={"maxmemory": "1", "maxmemory-policy": "noeviction"}) as server:
        state: State = SharedState(RedisClient(server.url))
        state.put("a", b"1", 60)
        assert state.get("a") == b"1"
        assert server.names() == []


ACL = (
    "user adapter on >PASSWORD resetkeys ~harbor-swr-adapter:* resetchannels -@all "
    "+select +get +set +del +eval +time +lindex +lpush +ltrim +pexpire"
)


def test_the_permissions_on_the_page_are_enough(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
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

    # What was spent is forgotten after a second.
    eventually(lambda: spent() == ["rate-limit"])
    assert caplog.records == []


def test_a_key_of_another_kind_costs_no_request(server: RedisServer) -> None:
    server.client.lpush(PREFIX + "a", "x")
    state = SharedState(RedisClient(server.url))
    assert state.get("a") is None
