"""Replays a recording against the contract listener, as the recorded Harbor did.

There is one TCP connection for each recorded connection. Requests are sent in the recorded order with unchanged
headers, except for values that depend on the peer: its address, upload locations, next pages, the source repository of
a mount, and credentials.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import select
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from adapter.sandbox.recording import Exchange, Framing, Headers, Request, header
from adapter.sandbox.recordings.blobs import Blobs, MissingBodyError
from adapter.sandbox.replay_targets import (
    ReplayError,
    mount_target,
    mounted_digest,
    next_page,
    next_target,
    parse_query,
)

Credentials = Mapping[tuple[str, str], tuple[str, str]]

BLOCK_BYTES = 32 * 1024  # Go's net/http copies bodies in blocks, and so sends chunks, of this size

_BASIC = re.compile(r"\{basic:([^:{}]*):([^{}]*)\}")
_PLACEHOLDER = re.compile(r"\{[a-z][a-z_-]*(?::[^{}]*)?\}")


@dataclass(frozen=True)
class Result:
    """The result of one exchange: a response, an `error` of the transport, or the reason why it was `skipped`.

    `target` is the target that was sent. `repr` leaves out target and headers, because they can contain upload state.
    """

    exchange: Exchange
    target: str | None = field(default=None, repr=False)
    status: int | None = None
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    error: str | None = None
    skipped: str | None = None

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


class Replayer:
    """Replays recordings against the endpoint `url` (`http://host:port`, no path).

    :param blobs: bodies that the recording contains only as a digest.
    :param credentials: credentials to send, by the recorded (user, secret); others are sent as recorded.
    :param timeout: seconds for connecting, for each block sent and for each read.
    :param context: TLS context for an `https` endpoint.
    :param on_exchange: called with each result.
    :param read: bytes of the response to read before disconnecting, by number of the exchange.
    """

    def __init__(
        self,
        url: str,
        blobs: Blobs,
        *,
        credentials: Credentials | None = None,
        timeout: float = 60.0,
        context: ssl.SSLContext | None = None,
        on_exchange: Callable[[Result], None] | None = None,
        read: Mapping[int, int] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"invalid endpoint: {url}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._blobs = blobs
        self._credentials = credentials or {}
        self._timeout = timeout
        self._context = context
        self._on_exchange = on_exchange
        self._read = read or {}

    def replay(self, recording: Iterable[Exchange]) -> list[Result]:
        """One result for each exchange, in order. Failures of the peer are results, not exceptions."""
        connections: dict[int, Connection] = {}
        results: dict[int, Result] = {}
        try:
            for exchange in recording:
                if exchange.connection not in connections:
                    connections[exchange.connection] = Connection(self._open)
                result = self._replay(exchange, connections[exchange.connection], results)
                results[exchange.number] = result
                if self._on_exchange:
                    self._on_exchange(result)
        finally:
            for connection in connections.values():
                connection.close()
        return list(results.values())

    def _replay(self, exchange: Exchange, connection: Connection, results: Mapping[int, Result]) -> Result:
        request = exchange.request
        try:
            target = self._target(request, results)
            headers = filled(request.headers, {"host": self._host, "self": self.url}, self._credentials)
            body = self._blobs.body(request)
        except (ReplayError, MissingBodyError) as reason:
            return Result(exchange, skipped=str(reason))
        try:
            status, response_headers, content = connection.exchange(
                request.method, target, headers, request.framing, body, max_bytes=self._read.get(exchange.number)
            )
        except (OSError, http.client.HTTPException) as error:
            # The text of an HTTPException can quote the response of the peer, so only its class is reported.
            text = (
                f": {error}" if isinstance(error, OSError) and not isinstance(error, http.client.HTTPException) else ""
            )
            return Result(exchange, target, error=f"{type(error).__name__}{text}")
        return Result(exchange, target, status, response_headers, content)

    def _target(self, request: Request, results: Mapping[int, Result]) -> str:
        if request.follows is None:
            return _target_from_responses(request, results.values())
        previous = results[request.follows]
        if previous.status is None or not 200 <= previous.status < 300:
            outcome = f"returned {previous.status}" if previous.status else "got no response"
            raise ReplayError(f"cannot send: #{request.follows} must return a Location first, but {outcome}")
        location = previous.header("Location")
        if not location:
            raise ReplayError(f"#{request.follows} returned no Location")
        digest = dict(parse_query(request.query)).get(b"digest")
        return next_target(location, self.url, digest)

    def _open(self) -> http.client.HTTPConnection:
        if self.url.startswith("https:"):
            return http.client.HTTPSConnection(self._host, timeout=self._timeout, context=self._context)
        return http.client.HTTPConnection(self._host, timeout=self._timeout)


class Connection:
    """A keep-alive connection that is opened again after the peer has closed it, as in the Go transport."""

    def __init__(self, opened: Callable[[], http.client.HTTPConnection]) -> None:
        self._opened = opened
        self._http: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._http:
            self._http.close()
        self._http = None

    def exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        framing: Framing | None,
        body: bytes,
        *,
        max_bytes: int | None = None,
    ) -> tuple[int, Headers, bytes]:
        """Sends a request; `max_bytes`: bytes of the response to read before disconnecting.

        :raises OSError, http.client.HTTPException: the next exchange then opens a new connection.
        """
        reused = self._reusable()
        try:
            try:
                return self._once(method, target, headers, framing, body, max_bytes)
            except ConnectionError:
                # The peer may have closed the connection while the request was sent. Go also retries once.
                if not reused or body:
                    raise
                self.close()
                return self._once(method, target, headers, framing, body, max_bytes)
        except BaseException:
            self.close()
            raise

    def _reusable(self) -> bool:
        """Discards a connection that the peer has closed; returns whether an open connection is left."""
        connection = self._http
        if connection is None or connection.sock is None:
            return False
        if _readable(connection):
            self.close()
            return False
        return True

    def _once(
        self, method: str, target: str, headers: Headers, framing: Framing | None, body: bytes, max_bytes: int | None
    ) -> tuple[int, Headers, bytes]:
        connection = self._http = self._http or self._opened()
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        complete = _send(connection, framing, body)
        response = connection.getresponse()
        content = response.read(max_bytes)
        if not complete or not response.isclosed():
            # The response holds the socket, so closing only the connection would leave the socket open.
            response.close()
            self.close()
        return response.status, tuple(response.getheaders()), content


def _send(connection: http.client.HTTPConnection, framing: Framing | None, body: bytes) -> bool:
    """Sends the body until a response arrives or the peer stops reading; returns whether all of it was sent."""
    try:
        for part in framed(body, framing):
            if _readable(connection):
                return False
            connection.send(part)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _readable(connection: http.client.HTTPConnection) -> bool:
    # With TLS 1.3, a readable socket can be a session ticket.
    if isinstance(connection.sock, ssl.SSLSocket):
        return False
    return bool(select.select([connection.sock], [], [], 0)[0])


def framed(body: bytes, framing: Framing | None) -> Iterator[bytes | memoryview]:
    """The body with its framing, block by block."""
    view = memoryview(body)
    for at in range(0, len(view), BLOCK_BYTES):
        part = view[at : at + BLOCK_BYTES]
        yield part if framing != "chunked" else b"".join((b"%x\r\n" % len(part), part, b"\r\n"))
    if framing == "chunked":
        yield b"0\r\n\r\n"


def filled(headers: Headers, values: Mapping[str, str], credentials: Credentials) -> Headers:
    """The headers with their placeholders filled in: `{basic:USER:SECRET}` and the names in `values`.

    :raises ReplayError: for a placeholder without a value.
    """

    def basic(match: re.Match[str]) -> str:
        recorded = (match[1], match[2])
        return base64.b64encode(":".join(credentials.get(recorded, recorded)).encode()).decode()

    def fill(value: str) -> str:
        for name, known in values.items():
            value = value.replace(f"{{{name}}}", known)
        value = _BASIC.sub(basic, value)
        if left := _PLACEHOLDER.search(value):
            raise ReplayError(f"no value for the placeholder {left[0].partition(':')[0].rstrip('}')}}}")
        return value

    return tuple((name, fill(value)) for name, value in headers)


def _target_from_responses(request: Request, results: Iterable[Result]) -> str:
    """The target with values of earlier responses: source of a mount, next page. Otherwise the recorded target."""
    if digest := mounted_digest(request):
        return mount_target(request, mount_source(digest, results))
    for result in results:
        if next_page(result.exchange.response.header("Link")) == request.target:
            target = next_page(result.header("Link"))
            if target is None:
                raise ReplayError(f"#{result.exchange.number} returned no next page")
            return target
    return request.target


def mount_source(digest: bytes, results: Iterable[Result]) -> str | None:
    """The repository in the last response of the peer to a search for the blob; None if the peer found none."""
    name = None
    for result in results:
        request = result.exchange.request
        if request.path == "/api/v2.0/repositories" and (b"q", b"blob_digest=" + digest) in parse_query(request.query):
            try:
                name = str(json.loads(result.body)[0]["name"])
            except (ValueError, LookupError, TypeError):
                name = None
    return name
