"""Layers that are too large, and refusals that come while the client still sends."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.contract.conftest import MAX_LAYER_BYTES, put_back
from tests.contract.http import (
    LARGE,
    SMALL,
    Door,
    digest_of,
    read_answer,
    refused,
    silent,
    with_query,
)
from tests.running import RunningSandbox


class TestLimits:
    def test_a_layer_that_is_too_large_is_told_before_swr_is_asked(
        self, strict_door: Door, swr: RunningSandbox, repository: str
    ) -> None:
        location = strict_door.start(repository)
        data = LARGE[: MAX_LAYER_BYTES + 1]
        with silent(swr):
            answer = strict_door.put(location, digest_of(data), data)
        refused(answer, 413, str(len(data)), str(MAX_LAYER_BYTES), "split", code="SIZE_INVALID")

    def test_one_that_just_fits(self, strict_door: Door, swr: RunningSandbox, repository: str) -> None:
        assert swr.store.has_blob(repository, strict_door.push(repository, LARGE[:MAX_LAYER_BYTES]))

    def test_in_one_post(self, strict_door: Door, swr: RunningSandbox, repository: str) -> None:
        data = LARGE[: MAX_LAYER_BYTES + 1]
        with silent(swr):
            answer = strict_door.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data)
        refused(answer, 413, str(MAX_LAYER_BYTES))

    def test_the_chunk_that_is_too_much(self, strict_door: Door, swr: RunningSandbox, repository: str) -> None:
        first, second = LARGE[:90_000], LARGE[90_000:110_000]
        location = strict_door.ask("PATCH", strict_door.start(repository), first).header("Location")
        with silent(swr):
            answer = strict_door.ask("PATCH", location, iter([second]), {"Content-Range": "90000-109999"})
        refused(answer, 413, "110000")

    @pytest.mark.parametrize("length", ["99999999999999999999", "9" * 300])
    def test_lengths_that_nobody_has(
        self, strict_door: Door, swr: RunningSandbox, repository: str, length: str
    ) -> None:
        target = with_query(strict_door.start(repository), digest=digest_of(SMALL))
        with silent(swr):
            answer = strict_door.raw(
                strict_door.head("PUT", target, f"Content-Length: {length}") + SMALL, half_close=True
            )
        refused(answer, 413)

    def test_swrs_own_limit(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, max_layer_bytes=1000)
        refused(door.put(door.start(repository), digest_of(LARGE), LARGE), 413, "exceeds SWR's size limit")

    def test_a_refusal_reaches_a_client_that_is_still_sending(self, strict_door: Door, repository: str) -> None:
        """Harbor writes and reads at once; if its writing fails first, it logs "broken pipe" and not the sentence.

        Over a network the answer takes a while, and Harbor sends all that time.
        """
        target = with_query(strict_door.start(repository), digest=digest_of(b"x"))
        head = strict_door.head("PUT", target, f"Content-Length: {1 << 30}")
        for _ in range(5):
            with strict_door.open() as connection:
                sender = Sender(connection, head)
                sender.start()
                sender.join(0.05)
                answer = read_answer(connection)
                sender.answered.set()
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                sender.join(10)
            refused(answer, 413, "split it into smaller layers")
            assert sender.broken is None


class Sender(threading.Thread):
    """Sends a body without an end until there is an answer; `broken` is what stopped it before."""

    def __init__(self, connection: socket.socket, head: bytes) -> None:
        super().__init__(daemon=True)
        self.answered = threading.Event()
        self.broken: OSError | None = None
        self._connection = connection
        self._head = head

    def run(self) -> None:
        try:
            self._connection.sendall(self._head)
            while not self.answered.is_set():
                self._connection.sendall(bytes(1 << 16))
        except OSError as error:
            self.broken = None if self.answered.is_set() else error
