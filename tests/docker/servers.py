"""Stand-ins around nginx: an HTTP server that records and obeys, and a DNS server that knows a few names."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; `headers` in order, as sent."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only header of that name, or None."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, found
        return found[0] if found else None


@dataclass(frozen=True)
class Answer:
    """What a scripted server sends."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class Silence(Exception):
    """Raised by a script: the request was taken, and the connection ends without an answer."""


class Half(Silence):
    """Raised by a script: like `Silence`, after a part of the answer's head."""


Script = Callable[[Seen], Answer]


@dataclass
class Scripted:
    """A running server on the loopback interface. `script` may be replaced at any time."""

    name: str
    script: Script
    port: int = 0
    seen: list[Seen] = field(default_factory=list)

    def methods(self) -> list[str]:
        """Methods and targets, in order of arrival."""
        return [f"{each.method} {each.target}" for each in self.seen]


def named(name: str) -> Script:
    """Answers every request with the server's own name."""
    return lambda _: Answer(body=name.encode())


class _Handler(BaseHTTPRequestHandler):
    """One request a connection, answered as the script of `running` says."""

    protocol_version = "HTTP/1.1"
    running: Scripted

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if self.raw_requestline and self.parse_request():
            self._obey()

    def _obey(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, self.path, self.headers.items(), body)
        self.running.seen.append(seen)
        try:
            self._send(self.running.script(seen))
        except Half:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
        except Silence:
            return

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for key, value in answer.headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


@contextlib.contextmanager
def scripted(name: str, script: Script | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A server that answers `script`'s answers, its own name by default, until the block ends."""
    running = Scripted(name, script or named(name))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"running": running}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    running.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def dns(addresses: Mapping[str, str]) -> Iterator[int]:
    """The port of a name server: an A record for each of `addresses`, NXDOMAIN for all other names."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve_names, args=(sock, addresses))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            sock.sendto(b"", sock.getsockname())
            thread.join()


def _serve_names(sock: socket.socket, addresses: Mapping[str, str]) -> None:
    while True:
        query, client = sock.recvfrom(512)
        if not query:
            return
        sock.sendto(_resolve(query, addresses), client)


def _resolve(query: bytes, addresses: Mapping[str, str]) -> bytes:
    """The answer to a query of one question (RFC 1035 §4.1)."""
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1 : position + 1 + length].decode())
        position += 1 + length
    question = query[12 : position + 5]
    address = addresses.get(".".join(labels))
    is_a = question[-4:-2] == b"\0\1"
    record = b""
    if address is not None and is_a:
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address)
    flags = 0x8180 if address is not None else 0x8183
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if record else 0, 0, 0) + question + record


@contextlib.contextmanager
def full() -> Iterator[int]:
    """The port of a listener whose queue is full: a connection to it is neither taken nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address: Any = listener.getsockname()
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(address)
            except TimeoutError:
                break
        yield address[1]
