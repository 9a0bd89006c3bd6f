"""A server for responses that an HTTP library would not send: the test sets each byte."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from adapter.settings import RegionHosts, Settings
from adapter.swr.client import SwrClient
from tests.certificates import Certificate
from tests.swr.scripted import TOKEN_PATH, jwt

Part = bytes | Callable[[socket.socket], None]
"""Bytes to send, or a function that is called with the connection."""

PLAIN_AND_TLS = pytest.mark.parametrize("certificate", ["plain", "tls"], indirect=True)
"""Runs a test of the fixture `raw` without and with TLS."""

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def answer(status: str, *fields: str, body: bytes = b"") -> bytes:
    """A whole response; its length is added unless a field is about framing."""
    framed = any(field.lower().startswith(("content-length", "transfer-encoding")) for field in fields)
    lines = [f"HTTP/1.1 {status}", "Connection: close", *fields, *([] if framed else [f"Content-Length: {len(body)}"])]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawServer:
    """Answers requests by method and the start of their path, in turn; the last answer is repeated. Closes after each.

    `asked` are the request lines without the version, in order; token requests are granted, and only counted.
    """

    def __init__(self, listener: socket.socket, certificate: Certificate | None) -> None:
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate.chain, certificate.key)
        self._listener = listener
        self._answers: dict[str, list[Part]] = {}
        self._lock = threading.Lock()
        self.asked: list[str] = []
        self.tokens = 0
        host, port = listener.getsockname()[:2]
        self.url = f"{'https' if certificate else 'http'}://{host}:{port}"

    def answer(self, start: str, *parts: Part) -> None:
        self._answers[start] = list(parts)

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        # Otherwise a small response waits for an acknowledgement, and is lost if the connection is closed.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with plain, contextlib.suppress(OSError), self._secured(plain) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (block := connection.recv(65536)):
                    return
                head += block
            line = head.partition(b" HTTP/")[0].decode()
            part = self._next(line)
            if isinstance(part, bytes):
                found = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
                body = head.partition(b"\r\n\r\n")[2]
                while found and len(body) < int(found[1]) and (block := connection.recv(65536)):
                    body += block
                connection.sendall(part)
            else:
                part(connection)

    def _secured(self, plain: socket.socket) -> socket.socket:
        return self._context.wrap_socket(plain, server_side=True) if self._context else plain

    def _next(self, line: str) -> Part:
        if TOKEN_PATH in line and not any(start in line for start in self._answers):
            with self._lock:
                self.tokens += 1
            return answer("200 OK", "Content-Type: application/json", body=json.dumps({"token": jwt()}).encode())
        with self._lock:
            self.asked.append(line)
            parts = next((parts for start, parts in self._answers.items() if line.startswith(start)), [OK])
            return parts.pop(0) if len(parts) > 1 else parts[0]

    def client(self, **settings: object) -> SwrClient:
        """The adapter's client, with this server as region eu-de and no request budget."""
        regions = {"eu-de": RegionHosts(self.url, self.url)}
        return SwrClient.build(Settings(**{"regions": regions, "requests_per_second": 0.0, **settings}))  # type: ignore[arg-type]


@contextlib.contextmanager
def raw_server(host: str = "127.0.0.1", port: int = 0, certificate: Certificate | None = None) -> Iterator[RawServer]:
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        server = RawServer(listener, certificate)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
