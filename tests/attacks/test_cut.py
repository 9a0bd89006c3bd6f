"""Bodies that SWR or Harbor core cut off: the client must notice it, also with HTTP/1.0.

By default nginx sends HTTP/1.0 to its upstream: no chunks, so without a length the end of the connection ends the body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.attacks.test_connections import NOBODY
from tests.contract.http import Door, digest_of
from tests.provider.rawcore import raw_core
from tests.running import RunningAdapter, running_adapter
from tests.swr.scripted import TOKEN_PATH, jwt

BLOB = b"a layer"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CUT = CHUNKED + b"5\r\na lay\r\n"
WHOLE = CUT + b"2\r\ner\r\n0\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"
"""With the line end before it: a request ID at the end of a head may end in 0."""
PATHS = {"contract": f"/v2/team/app/blobs/{digest_of(BLOB)}", "provider": "/api/v2.0/some"}


def answer(request: bytes, body: bytes) -> bytes:
    """The response to a token request, to HEAD of a blob (without its length), or to another request."""
    if TOKEN_PATH.encode() in request:
        document = json.dumps({"token": jwt()}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(document) + document
    return CHUNKED if request.startswith(b"HEAD") else body


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    """The last one is the current response."""
    return [WHOLE]


@pytest.fixture(scope="module")
def adapter(bodies: list[bytes]) -> Iterator[RunningAdapter]:
    """An adapter with one server as SWR and Harbor core."""
    with raw_core(lambda connection, request: connection.sendall(answer(request, bodies[-1]))) as url:
        regions = {"eu-de": {"registry": url, "api": NOBODY}}
        with running_adapter(regions, harbor_core_url=url) as running:
            yield running


def received(door: Door, version: bytes, path: str) -> tuple[bytes, bool]:
    """All bytes of the response, and whether the connection was reset."""
    got = b""
    with door.open() as connection:
        connection.sendall(door.head("GET", path).replace(b"HTTP/1.1", version))
        try:
            while block := connection.recv(65536):
                got += block
                if got.endswith(LAST_CHUNK):
                    break
        except ConnectionResetError:
            return got, True
    return got, False


@pytest.mark.parametrize("port", ["contract", "provider"])
class TestCut:
    def test_a_cut_body_resets_an_http_1_0_connection(
        self, adapter: RunningAdapter, bodies: list[bytes], port: str
    ) -> None:
        door = Door(getattr(adapter, port))
        bodies.append(WHOLE)
        got, reset = received(door, b"HTTP/1.0", PATHS[port])
        assert got.partition(b"\r\n\r\n")[2] == BLOB
        assert not reset
        bodies.append(CUT)
        got, reset = received(door, b"HTTP/1.0", PATHS[port])
        assert reset, got

    def test_a_cut_body_has_no_last_chunk(self, adapter: RunningAdapter, bodies: list[bytes], port: str) -> None:
        door = Door(getattr(adapter, port))
        bodies.append(CUT)
        got, _ = received(door, b"HTTP/1.1", PATHS[port])
        assert got.startswith(b"HTTP/1.1 200 ")
        assert not got.endswith(LAST_CHUNK)
