"""A scripted peer for the replayer that records the bytes that it receives."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Peer:
    """Sends the raw response `reply(head, body)`; None closes the connection. Records heads by connection, and bodies.

    The response to a body above 1 MiB is sent before the body, which is never read. After `/last` the connection is
    closed without notice, and `gone` is set.
    """

    reply: Callable[[bytes, bytes], bytes | None]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    connections: list[list[bytes]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def heads(self) -> list[str]:
        return [head.decode() for connection in self.connections for head in connection]

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections.append([])
                threading.Thread(target=self.converse, args=(client, self.connections[-1]), daemon=True).start()

    def converse(self, client: socket.socket, seen: list[bytes]) -> None:
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError):
            while head := head_of(stream):
                seen.append(head)
                rows = head.lower().splitlines()
                length = next((int(row[15:]) for row in rows if row.startswith(b"content-length:")), 0)
                early = self.reply(head, b"") if length > 1 << 20 else None
                body = (
                    b""
                    if early
                    else raw_chunks(stream)
                    if b"transfer-encoding: chunked" in rows
                    else stream.read(length)
                )
                self.bodies.append(body)
                answer = early or self.reply(head, body)
                if answer is None:
                    break
                client.sendall(answer)
                if early:
                    self.over.wait(20)
                if b"Connection: close" in answer or b" /last " in head:
                    break
        self.gone.set()


def head_of(stream: Any) -> bytes:
    """A head without the empty line; empty at the end of the connection."""
    head = b""
    while (line := stream.readline()) != b"\r\n":
        if not line:
            return b""
        head += line
    return head


def raw_chunks(stream: Any) -> bytes:
    """A chunked body with its framing."""
    raw = b""
    while not raw.endswith(b"0\r\n\r\n"):
        size = stream.readline()
        raw += size + stream.read(int(size, 16) + 2)
    return raw


@contextlib.contextmanager
def peer(reply: Callable[[bytes, bytes], bytes | None] = lambda head, body: OK) -> Iterator[Peer]:
    running = Peer(reply)
    threading.Thread(target=running.serve, daemon=True).start()
    try:
        yield running
    finally:
        running.over.set()
        running.listener.shutdown(socket.SHUT_RDWR)
        running.listener.close()
