"""Plays a recording against a contract door, the way the recorded Harbor spoke to it.

One TCP connection for each recorded one, requests in the recorded order with their headers as they were on the wire;
only what a peer decides is new: its address, the upload locations and the next pages that it hands out, the repository
that it names for a mount, and the credentials.
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
from adapter.sandbox.targets import PlayError, asked_mount, mount_target, next_page, next_target, parse_query

Credentials = Mapping[tuple[str, str], tuple[str, str]]

BLOCK = 32 * 1024  # what Go's net/http copies from a body at a time, and so the size of its chunks

_BASIC = re.compile(r"\{basic:([^:{}]*):([^{}]*)\}")
_PLACEHOLDER = re.compile(r"\{[a-z][a-z_-]*(?::[^{}]*)?\}")


@dataclass(frozen=True)
class Result:
    """What came of one exchange: an answer, an `error` of the transport, or the reason why it was `skipped`.

    `target` is what was really asked for. It, and the headers, may hold upload state and are left out of the repr.
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


class Player:
    """Plays recordings against the endpoint `url` (`http://host:port`, no path).

    :param blobs: where bodies are found that the recording has by digest only.
    :param credentials: (user, secret) of the recording → those to send instead; others are sent as recorded.
    :param timeout: seconds for connecting, for each block sent and for each read.
    :param context: for an `https` endpoint.
    :param on_exchange: called with each result as it comes.
    :param read: exchanges, by number, of whose answer the client reads so many bytes and then hangs up.
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
            raise ValueError(f"not an endpoint: {url}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._blobs = blobs
        self._credentials = credentials or {}
        self._timeout = timeout
        self._context = context
        self._on_exchange = on_exchange
        self._read = read or {}

    def play(self, recording: Iterable[Exchange]) -> list[Result]:
        """One result for each exchange, in order. Nothing that the peer answers, or fails to, is raised."""
        connections: dict[int, Connection] = {}
        results: dict[int, Result] = {}
        try:
            for exchange in recording:
                if exchange.connection not in connections:
                    connections[exchange.connection] = Connection(self._open)
                result = self._play(exchange, connections[exchange.connection], results)
                results[exchange.number] = result
                if self._on_exchange:
                    self._on_exchange(result)
        finally:
            for connection in connections.values():
                connection.close()
        return list(results.values())

    def _play(self, exchange: Exchange, connection: Connection, results: Mapping[int, Result]) -> Result:
        request = exchange.request
        try:
            target = self._target(request, results)
            headers = filled(request.headers, {"host": self._host, "self": self.url}, self._credentials)
            body = self._blobs.body(request)
        except (PlayError, MissingBodyError) as reason:
            return Result(exchange, skipped=str(reason))
        try:
            status, answered, content = connection.exchange(
                request.method, target, headers, request.framing, body, most=self._read.get(exchange.number)
            )
        except (OSError, http.client.HTTPException) as error:
            # Only the kind of an HTTPException is told: its text may quote what the peer sent.
            text = (
                f": {error}" if isinstance(error, OSError) and not isinstance(error, http.client.HTTPException) else ""
            )
            return Result(exchange, target, error=f"{type(error).__name__}{text}")
        return Result(exchange, target, status, answered, content)

    def _target(self, request: Request, results: Mapping[int, Result]) -> str:
        if request.follows is None:
            return _asked_target(request, results.values())
        before = results[request.follows]
        if before.status is None or not 200 <= before.status < 300:
            answer = f"was answered {before.status}" if before.status else "was not answered"
            raise PlayError(f"#{request.follows}, whose Location it needs, {answer}")
        location = before.header("Location")
        if not location:
            raise PlayError(f"#{request.follows} was answered without a Location")
        digest = dict(parse_query(request.query)).get(b"digest")
        return next_target(location, self.url, digest)

    def _open(self) -> http.client.HTTPConnection:
        if self.url.startswith("https:"):
            return http.client.HTTPSConnection(self._host, timeout=self._timeout, context=self._context)
        return http.client.HTTPConnection(self._host, timeout=self._timeout)


class Connection:
    """A kept-alive connection that is opened again when the peer has closed it, as Go's transport does."""

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
        most: int | None = None,
    ) -> tuple[int, Headers, bytes]:
        """`most`: bytes of the answer that are read before this side hangs up.

        :raises OSError, http.client.HTTPException: after which the next exchange starts a connection of its own.
        """
        reused = self._fresh()
        try:
            try:
                return self._once(method, target, headers, framing, body, most)
            except ConnectionError:
                # The peer may have closed it while the request was on its way. Go tries once more, then too.
                if not reused or body:
                    raise
                self.close()
                return self._once(method, target, headers, framing, body, most)
        except BaseException:
            self.close()
            raise

    def _fresh(self) -> bool:
        """Drops a connection that the peer has closed meanwhile; returns whether one is left to be used again."""
        connection = self._http
        if connection is None or connection.sock is None:
            return False
        if _readable(connection):
            self.close()
            return False
        return True

    def _once(
        self, method: str, target: str, headers: Headers, framing: Framing | None, body: bytes, most: int | None
    ) -> tuple[int, Headers, bytes]:
        connection = self._http = self._http or self._opened()
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        whole = _send(connection, framing, body)
        response = connection.getresponse()
        content = response.read(most)
        if not whole or not response.isclosed():
            # Closing the connection alone would leave it to the answer, which still holds the socket.
            response.close()
            self.close()
        return response.status, tuple(response.getheaders()), content


def _send(connection: http.client.HTTPConnection, framing: Framing | None, body: bytes) -> bool:
    """Sends the body until an answer comes or the peer stops reading; returns whether all of it went out."""
    try:
        for part in framed(body, framing):
            if _readable(connection):
                return False
            connection.send(part)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _readable(connection: http.client.HTTPConnection) -> bool:
    # TLS 1.3 sends session tickets on its own account, so there it says nothing.
    if isinstance(connection.sock, ssl.SSLSocket):
        return False
    return bool(select.select([connection.sock], [], [], 0)[0])


# What follows is pure: it decides what is sent.


def framed(body: bytes, framing: Framing | None) -> Iterator[bytes | memoryview]:
    """The body as it goes on the wire, block by block."""
    view = memoryview(body)
    for at in range(0, len(view), BLOCK):
        part = view[at : at + BLOCK]
        yield part if framing != "chunked" else b"".join((b"%x\r\n" % len(part), part, b"\r\n"))
    if framing == "chunked":
        yield b"0\r\n\r\n"


def filled(headers: Headers, values: Mapping[str, str], credentials: Credentials) -> Headers:
    """The headers with their placeholders filled in: `{basic:USER:SECRET}` and the names in `values`.

    :raises PlayError: for a placeholder that nothing is known for.
    """

    def basic(match: re.Match[str]) -> str:
        recorded = (match[1], match[2])
        return base64.b64encode(":".join(credentials.get(recorded, recorded)).encode()).decode()

    def fill(value: str) -> str:
        for name, known in values.items():
            value = value.replace(f"{{{name}}}", known)
        value = _BASIC.sub(basic, value)
        if left := _PLACEHOLDER.search(value):
            raise PlayError(f"nothing to put for {left[0].partition(':')[0].rstrip('}')}}}")
        return value

    return tuple((name, fill(value)) for name, value in headers)


def _asked_target(request: Request, results: Iterable[Result]) -> str:
    """The target that Harbor takes from an earlier answer: where a mount is from, and the next page. Else its own."""
    if digest := asked_mount(request):
        return mount_target(request, named_source(digest, results))
    for result in results:
        if next_page(result.exchange.answer.header("Link")) == request.target:
            target = next_page(result.header("Link"))
            if target is None:
                raise PlayError(f"#{result.exchange.number} was answered without a next page")
            return target
    return request.target


def named_source(digest: bytes, results: Iterable[Result]) -> str | None:
    """The repository that this peer named when it was last asked where the blob is; None when it named none."""
    name = None
    for result in results:
        request = result.exchange.request
        if request.path == "/api/v2.0/repositories" and (b"q", b"blob_digest=" + digest) in parse_query(request.query):
            try:
                name = str(json.loads(result.body)[0]["name"])
            except (ValueError, LookupError, TypeError):
                name = None
    return name
