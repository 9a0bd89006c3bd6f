"""Answers larger than what is kept in memory: translated all the same, or refused; the adapter's URL never shows."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.conftest import StartAdapter
from tests.provider.harness import API, BROWSER, NAME, PUBLIC_URL, SCRIPT, Client, PlayedCore, stored
from tests.provider.rawcore import Behaviour, raw_core
from tests.transfer.test_memory import peak, reset_peak, worker_of

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MEGABYTE = 1 << 20
SIZE = 50 << 20
ALLOWED = 24 << 20

FRAMED = pytest.mark.parametrize("framed", [True, False], ids=["length", "chunks"])
Blocks = Callable[[], Iterable[bytes]]


def answers(blocks: Blocks, framed: bool) -> Behaviour:
    """A body in the two ways that HTTP has."""

    def behave(connection: socket.socket, _: bytes) -> None:
        length = b"Content-Length: %d" % sum(map(len, blocks())) if framed else b"Transfer-Encoding: chunked"
        connection.sendall(JSON + length + b"\r\n\r\n")
        for block in blocks():
            connection.sendall(block if framed else b"%x\r\n%b\r\n" % (len(block), block))
        connection.sendall(b"" if framed else b"0\r\n\r\n")

    return behave


def blanks() -> Iterable[bytes]:
    return (b" " * MEGABYTE for _ in range(SIZE >> 20))


def endpoint(number: int, **more: Any) -> dict[str, Any]:
    """With a bundle of certificates of a quarter of a megabyte."""
    return stored(number, ca_certificate="-----BEGIN CERTIFICATE-----\n" + "Ab+/" * (1 << 16), **more)


def endpoints() -> Iterable[bytes]:
    """A page of endpoints, the last two of which are ours."""
    yield b"["
    other = json.dumps(endpoint(3, url="http://other.example")).encode() + b" ,\n"
    yield from (other for _ in range(SIZE // len(other)))
    ours = json.dumps(endpoint(5), separators=(",", ":")).replace("/", "\\/").replace("adapter", "\\u0061dapter")
    yield json.dumps(endpoint(4)).encode() + b"," + ours.encode() + b"]\n"


@FRAMED
@pytest.mark.parametrize(
    ("path", "blocks"),
    [("/registries", blanks), ("/registries", endpoints), ("/systeminfo", blanks)],
    ids=["no page", "page", "passed"],
)
def test_memory_stays_flat(framed: bool, path: str, blocks: Blocks, another: StartAdapter) -> None:
    with raw_core(answers(blocks, framed)) as url:
        running = another(harbor_core_url=url)
        worker = worker_of(running)
        before = reset_peak(worker)
        size, last = 0, b""
        with Client(running.provider).opened("GET", API + path) as response:
            while block := response.read(MEGABYTE):
                size += len(block)
                last = (last + block)[-MEGABYTE:]
        assert response.status == 200
        assert size > SIZE - MEGABYTE
        assert peak(worker) - before < ALLOWED
        assert last.count(NAME.encode()) == (2 if blocks is endpoints else 0)
        assert b"dapter.example" not in last


@FRAMED
@pytest.mark.parametrize("path", ["/registries", "/replication/policies"])
def test_a_long_page_is_translated_entry_by_entry(framed: bool, path: str, another: StartAdapter) -> None:
    page = [endpoint(number, url=PUBLIC_URL if number % 3 else "http://other.example") for number in range(1, 33)]
    page = [{"id": 1, "dest_registry": each} for each in page] if "policies" in path else page
    body = json.dumps(page, indent=1).encode()
    assert len(body) > 4 << 20
    with raw_core(answers(lambda: [body], framed)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        got, untouched = portal.get(path), portal.get(path, SCRIPT)
    assert untouched.body == body
    assert PUBLIC_URL.encode() not in got.body
    wanted = json.loads(body)
    for each in wanted:
        each = each.get("dest_registry", each)
        if each["url"] == PUBLIC_URL:
            each["type"] = NAME
            each["url"] = json.loads(got.body)[0].get("dest_registry", json.loads(got.body)[0])["url"]
    assert got.json() == wanted


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/registries/4", stored(4, description="x" * (5 << 20))),
        ("/projects/1/summary", {"registry": stored(4), "more": "x" * (5 << 20)}),
        ("/registries", [stored(4, description="x" * (5 << 20))]),
    ],
    ids=["endpoint", "summary", "entry of a list"],
)
def test_what_is_too_large_to_look_into_is_refused_and_not_shown(
    path: str, document: Any, portal: Client, core: PlayedCore
) -> None:
    core.answers(document)
    got = portal.get(path)
    assert got.status == 502
    assert "more than the provider door looks into" in got.message()
    assert portal.get(path, SCRIPT).json() == document


def test_an_entry_that_is_too_large_ends_a_page_that_has_begun(portal: Client, core: PlayedCore) -> None:
    core.answers([stored(4), stored(5, description="x" * (5 << 20))])
    with portal.opened("GET", f"{API}/registries") as response, pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert NAME.encode() in caught.value.partial
    assert PUBLIC_URL.encode() not in caught.value.partial


def test_a_long_page_that_breaks_off_does_not_look_complete(another: StartAdapter) -> None:
    body = json.dumps([endpoint(number) for number in range(1, 40)]).encode()

    def breaks(connection: socket.socket, _: bytes) -> None:
        connection.sendall(JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body[: 9 << 20])

    with raw_core(breaks) as url:
        portal = Client(another(harbor_core_url=url).provider)
        with (
            contextlib.suppress(http.client.IncompleteRead),
            portal.opened("GET", f"{API}/registries", BROWSER) as response,
        ):
            assert (response.status, response.read()) == (502, b"")
            pytest.fail("a short page looks complete")
