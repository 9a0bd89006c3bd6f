"""Responses larger than what is kept in memory: translated, or rejected. The adapter's URL is never shown."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.conftest import StartAdapter
from tests.provider.harness import API, BROWSER, NAME, PUBLIC_URL, SCRIPT, Client, ScriptedCore, stored
from tests.provider.rawcore import Behavior, raw_core, sends
from tests.transfer.test_memory import peak, reset_peak, worker_of

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MEGABYTE = 1 << 20
BODY_BYTES = 50 << 20
MAX_GROWTH_BYTES = 24 << 20

Blocks = Callable[[], Iterable[bytes]]


def sends_blocks(blocks: Blocks, framed: bool) -> Behavior:
    def behave(connection: socket.socket, _: bytes) -> None:
        framing = b"Content-Length: %d" % sum(map(len, blocks())) if framed else b"Transfer-Encoding: chunked"
        connection.sendall(JSON + framing + b"\r\n\r\n")
        for block in blocks():
            connection.sendall(block if framed else b"%x\r\n%b\r\n" % (len(block), block))
        connection.sendall(b"" if framed else b"0\r\n\r\n")

    return behave


def blanks() -> Iterable[bytes]:
    return (b" " * MEGABYTE for _ in range(BODY_BYTES >> 20))


def endpoint(number: int, **more: Any) -> dict[str, Any]:
    """With certificates of a quarter of a mebibyte."""
    return stored(number, ca_certificate="-----BEGIN CERTIFICATE-----\n" + "Ab+/" * (1 << 16), **more)


def endpoints() -> Iterable[bytes]:
    """A list in which only the last two endpoints are of the adapter."""
    yield b"["
    other = json.dumps(endpoint(3, url="http://other.example")).encode() + b" ,\n"
    yield from (other for _ in range(BODY_BYTES // len(other)))
    last = json.dumps(endpoint(5), separators=(",", ":")).replace("/", "\\/").replace("adapter", "\\u0061dapter")
    yield json.dumps(endpoint(4)).encode() + b"," + last.encode() + b"]\n"


@pytest.mark.parametrize(
    ("framed", "path", "blocks"),
    [
        (True, "/registries", blanks),
        (True, "/registries", endpoints),
        (False, "/registries", endpoints),
        (False, "/x", blanks),
    ],
    ids=["no list", "list", "list in chunks", "passed in chunks"],
)
def test_memory_stays_constant(framed: bool, path: str, blocks: Blocks, another: StartAdapter) -> None:
    with raw_core(sends_blocks(blocks, framed)) as url:
        running = another(harbor_core_url=url)
        worker = worker_of(running)
        before = reset_peak(worker)
        size, last = 0, b""
        with Client(running.provider).opened("GET", API + path) as response:
            while block := response.read(MEGABYTE):
                size += len(block)
                last = (last + block)[-MEGABYTE:]
        assert response.status == 200
        assert size > BODY_BYTES - MEGABYTE
        assert peak(worker) - before < MAX_GROWTH_BYTES
        assert last.count(NAME.encode()) == (2 if blocks is endpoints else 0)
        assert b"dapter.example" not in last


def test_long_list_of_rules_is_translated_entry_by_entry(another: StartAdapter) -> None:
    urls = {number: PUBLIC_URL if number % 3 else "http://other.example" for number in range(1, 33)}
    page = [{"id": 1, "dest_registry": endpoint(number, url=url)} for number, url in urls.items()]
    body = json.dumps(page, indent=1).encode()
    assert len(body) > 4 << 20
    with raw_core(sends_blocks(lambda: [body], True)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        translated, untouched = portal.get("/replication/policies").json(), portal.get("/replication/policies", SCRIPT)
    assert untouched.body == body
    for rule in page:
        if rule["dest_registry"]["url"] == PUBLIC_URL:  # type: ignore[index]
            rule["dest_registry"] |= {"type": NAME, "url": translated[0]["dest_registry"]["url"]}  # type: ignore[operator]
    assert translated == page
    assert PUBLIC_URL not in json.dumps(translated)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/registries/4", stored(4, description="x" * (5 << 20))),
        ("/projects/1/summary", {"registry": stored(4), "more": "x" * (5 << 20)}),
        ("/registries", [stored(4, description="x" * (5 << 20))]),
    ],
    ids=["endpoint", "summary", "entry of a list"],
)
def test_entry_that_is_too_large_is_rejected(path: str, document: Any, portal: Client, core: ScriptedCore) -> None:
    core.returns(document)
    response = portal.get(path)
    assert response.status == 502
    assert "from Harbor core exceeds 4194304 bytes" in response.message()
    assert portal.get(path, SCRIPT).json() == document


def test_list_ends_at_an_entry_that_is_too_large(portal: Client, core: ScriptedCore) -> None:
    core.returns([stored(4), stored(5, description="x" * (5 << 20))])
    with portal.opened("GET", f"{API}/registries") as response, pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert NAME.encode() in caught.value.partial
    assert PUBLIC_URL.encode() not in caught.value.partial


def test_incomplete_list_does_not_look_complete(another: StartAdapter) -> None:
    body = json.dumps([endpoint(number) for number in range(1, 40)]).encode()
    with raw_core(sends(JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body[: 9 << 20])) as url:
        portal = Client(another(harbor_core_url=url).provider)
        with (
            contextlib.suppress(http.client.IncompleteRead),
            portal.opened("GET", f"{API}/registries", BROWSER) as response,
        ):
            assert (response.status, response.read()) == (502, b"")
            pytest.fail("the list looks complete")
