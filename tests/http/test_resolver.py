from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapter.http.resolver import Resolver


def test_concurrent_look_ups_of_a_host_share_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    hosts: list[str] = []

    def slow(host: str, *_: Any, **__: Any) -> list[Any]:
        hosts.append(host)
        assert end.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = Resolver()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            resolver.addresses("swr.example", 443, 0.01)
    assert hosts == ["swr.example"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(resolver.addresses, "swr.example", 443, 10)
        end.set()
        assert waiting.result(10) == []
