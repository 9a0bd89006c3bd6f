"""An HTTP client for tests: the test chooses every byte that is sent."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import socket
import ssl
import struct
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.contract.openapi import Exchanged, faults
from tests.credentials import basic
from tests.running import RunningSandbox

Body = bytes | Iterable[bytes] | None

DEFAULT_TIMEOUT = 30.0

SMALL = b"a layer of a few bytes"
LARGE = random.Random(1).randbytes(700_001)
"""Several blocks, whatever the block size of the adapter."""


@dataclass(frozen=True)
class Answer:
    """A complete response; names of `headers` are case-insensitive."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def header(self, name: str) -> str:
        value = self.headers[name]
        assert value is not None, f"no {name} in {self.headers.items()}"
        return str(value)

    @property
    def parts(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """The response in the form of `Exchanged`."""
        return self.status, tuple(self.headers.items()), self.body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of an envelope with exactly one."""
        document = self.json
        assert set(document) == {"errors"}, document
        (entry,) = document["errors"]
        assert isinstance(entry, dict)
        return entry

    @property
    def message(self) -> str:
        return str(self.error["message"])


def known(body: Body) -> bytes | None:
    """The bytes of a body, None for an iterable."""
    return b"" if body is None else body if isinstance(body, bytes) else None


def judge(exchanged: Exchanged) -> None:
    """Asserts that the exchange conforms to `openapi/contract.yaml`."""
    wrong = faults(exchanged)
    assert wrong == [], wrong


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """The data in pieces: `http.client` sends them with chunked transfer coding."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Door:
    """A client of one listener, with default credentials. `context` is for TLS.

    `documented`: responses to `ask` must conform to `openapi/contract.yaml`.
    """

    def __init__(
        self,
        url: str,
        authorization: str | None = None,
        context: ssl.SSLContext | None = None,
        *,
        documented: bool = True,
    ) -> None:
        self.url = url
        self.documented = documented
        self._context = context
        self.authorization = basic() if authorization is None else authorization

    def ask(
        self,
        method: str,
        target: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        *,
        authorization: str | None = "",
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Answer:
        """One request on its own connection. `authorization`: empty for the client's default, None for no header.

        An iterable body is sent chunked. The target may be an absolute URL. A response that arrives before the end of
        the body counts, even if the connection then breaks.
        """
        connection, asked, sent = self.connect(timeout), self.target(target), self._headers(headers, authorization)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, asked, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        if self.documented and asked.startswith(("/v2", "/api")):
            judge(Exchanged(method, asked, tuple(sent.items()), known(body), *answer.parts))
        return answer

    def raw(self, data: bytes, *, half_close: bool = False, timeout: float = DEFAULT_TIMEOUT) -> Answer | None:
        """Sends bytes unchanged. Returns the response, None if the connection ends without one."""
        with self.open(timeout) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_answer(connection)

    def open(self, timeout: float = DEFAULT_TIMEOUT) -> socket.socket:
        plain = socket.create_connection(self.address, timeout)
        return plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self.address[0])

    def connect(self, timeout: float = DEFAULT_TIMEOUT) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(*self.address, timeout=timeout)
        return http.client.HTTPSConnection(*self.address, timeout=timeout, context=self._context)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def head(self, method: str, target: str, *headers: str) -> bytes:
        """The head of a request with the client's credentials, for `raw`."""
        lines = [f"{method} {self.target(target)} HTTP/1.1", "Host: door", f"Authorization: {self.authorization}"]
        return "\r\n".join([*lines, *headers, "", ""]).encode()

    @staticmethod
    def target(location: str) -> str:
        parts = urlsplit(location)
        if not parts.scheme:
            return location
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _headers(self, headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
        sent = dict(headers or {})
        if authorization is not None:
            sent["Authorization"] = authorization or self.authorization
        return sent

    # uploads

    def start(self, repository: str) -> str:
        """Opens an upload and returns its location."""
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert answer.status == 202, answer
        return answer.header("Location")

    def put(self, location: str, digest: str, body: Body, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("PUT", with_query(location, digest=digest), body, headers)

    def push(self, repository: str, data: bytes) -> str:
        """Uploads a blob in one PUT, as Harbor does, and returns its digest."""
        digest = digest_of(data)
        answer = self.put(self.start(repository), digest, data)
        assert answer.status == 201, answer
        return digest


def with_query(location: str, **query: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}{urlencode(query)}"


def read_answer(connection: socket.socket) -> Answer | None:
    """The response on a socket, None if the connection ends without one."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return Answer(response.status, response.headers, response.read())
    except (http.client.BadStatusLine, ConnectionError):
        return None
    finally:
        response.close()


def reset(connection: socket.socket) -> None:
    """Ends a connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def under_way(door: Door, swr: RunningSandbox, repository: str, data: bytes, sent: int) -> Iterator[socket.socket]:
    """The connection of an upload in progress at SWR, with the first `sent` bytes sent."""
    before = len(asked(swr, "PUT"))
    target = with_query(door.start(repository), digest=digest_of(data))
    with door.open() as connection:
        connection.sendall(door.head("PUT", target, f"Content-Length: {len(data)}") + data[:sent])
        eventually(lambda: len(asked(swr, "PUT")) == before + 1)
        yield connection


@contextmanager
def saying(url: str, count: int, said: bytes, timeout: float = DEFAULT_TIMEOUT) -> Iterator[list[socket.socket]]:
    """`count` connections on which only `said` was sent."""
    with ExitStack() as stack:
        opened = [stack.enter_context(Door(url).open(timeout)) for _ in range(count)]
        for connection in opened:
            connection.sendall(said)
        yield opened


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until the condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition never held"
        time.sleep(0.02)


def refused(answer: Answer | None, status: int | set[int], *words: str, code: str | None = None) -> Answer:
    """Asserts an error response: one line of ASCII in an envelope, with the request ID."""
    assert answer is not None, "the connection ended without an answer"
    assert answer.status in ({status} if isinstance(status, int) else status), (answer.status, answer.body)
    assert b"\n" not in answer.body, answer.body
    assert b"%" not in answer.body, answer.body
    assert b"\\u" not in answer.body, answer.body
    assert answer.header("X-Request-Id")
    assert answer.header("Content-Type").startswith("application/json")
    for word in words:
        assert word.lower() in answer.message.lower(), answer.message
    if code is not None:
        assert answer.error["code"] == code, answer.error
    return answer


def asked(swr: RunningSandbox, method: str = "", path: str = "") -> list[dict[str, Any]]:
    """The requests to SWR with this method whose path contains `path`."""
    return [entry for entry in swr.journal() if method in ("", entry["method"]) and path in entry["path"]]


@contextmanager
def silent(swr: RunningSandbox, *, tokens: bool = False) -> Iterator[None]:
    """Asserts that the block sends no request to SWR; `tokens` allows token requests, which check credentials."""
    before = len(swr.journal())
    yield
    more = [(entry["origin"], entry["method"], entry["path"]) for entry in swr.journal()[before:]]
    more = [each for each in more if not (tokens and each[2].startswith("/swr/auth/"))]
    assert more == [], more


def settled(swr: RunningSandbox) -> None:
    """Waits until SWR has responded to, or dropped, every request."""
    eventually(lambda: all(entry["status"] is not None for entry in swr.journal()))


def bad_signatures(swr: RunningSandbox) -> Any:
    """`count` since the last reset, and the access keys that are `locked`."""
    with urllib.request.urlopen(f"{swr.api}/sandbox/bad-signatures") as response:
        return json.loads(response.read())


def holds_nothing(swr: RunningSandbox, repository: str, *digests: str) -> None:
    """Asserts that SWR completed no upload of the repository, under these digests or any other."""
    settled(swr)
    assert not [entry for entry in asked(swr, "PUT", "/blobs/uploads/") if entry["status"] == 201]
    folder = swr.store.blob_path(repository, digest_of(b"")).parent
    assert not folder.exists() or list(folder.iterdir()) == []
    assert not any(swr.store.has_blob(repository, digest) for digest in digests)


def alive(door: Door) -> None:
    assert door.ask("GET", "/api/version").status == 200
