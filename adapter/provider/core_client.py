"""HTTP client for Harbor core that changes no byte: no redirects, no cookies, nothing from the environment.

It uses `http.client`, because every library on top of it normalizes targets and headers.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import re
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from urllib3.util.wait import wait_for_read

from adapter.documents import WAIT_SECONDS, hold
from adapter.errors import CertificateUntrusted, InvalidRequest, Unexpected, Unreachable
from adapter.http.pools import IdleCloser
from adapter.http.tls import tls_context
from adapter.provider.core_responses import BLOCK_BYTES, TimedResponse, remaining_seconds
from adapter.provider.headers import Headers

_MAX_IDLE_SECONDS: Final = 30.0
"""An older idle connection is not used again: it may be dead without a sign."""
_IDLE_CHECK_SECONDS: Final = 5.0
"""Interval at which idle connections that are too old, or that core has ended, are closed."""
_MAX_IDLE_CONNECTIONS: Final = 16
_RETRIED_METHODS: Final = frozenset({"GET", "HEAD"})
_TARGET: Final = re.compile("[!-~]+")

Body = bytes | tuple[Iterable[bytes | memoryview], int | None]
"""Bytes, or blocks with their total length. If the length is None, the body is sent in chunks. A block is valid until
the next one is taken."""


class CoreResponse:
    """A response of Harbor core. Read it with `read` or `blocks`, then call `close`.

    `early`: the response came before the end of the request body, and core read no more of the body.
    """

    def __init__(
        self, core: CoreClient, connection: http.client.HTTPConnection, response: TimedResponse, *, early: bool
    ) -> None:
        self._core, self._connection, self._response = core, connection, response
        self.early = early
        self._buffered: list[bytes] = []
        self._remaining = response.length
        self.status = response.status
        self.reason = response.reason
        self.headers: Headers = response.received_headers()

    def read(self, limit: int) -> bytes | None:
        """The body, or None if it is longer than `limit` bytes. What was read by then comes first in `blocks`.

        Raises `Unreachable` or `Unexpected` if the body is not complete in time, `Busy` if the process holds too many
        documents.
        """
        if self._remaining is not None and self._remaining > limit:
            return None
        size = 0
        with mapped_errors():
            while block := self._next():
                hold(len(block), WAIT_SECONDS)
                self._buffered.append(block)
                size += len(block)
                if size > limit:
                    return None
        body, self._buffered = b"".join(self._buffered), []
        return body

    def read_first(self) -> None:
        """Waits for the first block, while an error response is still possible. Raises as `read`."""
        if not self._buffered:
            with mapped_errors():
                self._buffered.append(self._next())

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes. Raises `ConnectionResetError` if it ends early, so that the client's connection ends
        too and no short body looks complete."""
        # A long response may take longer than the deadline, as long as each read returns something in time.
        self._response.reader.deadline = None
        while self._buffered:
            if block := self._buffered.pop(0):
                yield block
        try:
            while block := self._next():
                yield block
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionResetError(errno.ECONNRESET, "the response of Harbor core ended early") from error

    def close(self) -> None:
        """Returns the connection to the client if the response was read to its end."""
        if self._response.isclosed() and not self._response.will_close:
            self._core.keep(self._connection)
        else:
            self._response.close()
            self._connection.close()

    def _next(self) -> bytes:
        block = self._response.read1(BLOCK_BYTES)
        if self._remaining is not None:
            self._remaining -= len(block)
            if not block and self._remaining > 0:
                raise http.client.IncompleteRead(b"", self._remaining)
            if self._remaining == 0 and not self._response.isclosed():
                # http.client notices the end of the body only when it reads there.
                self._response.read(1)
        return block


class CoreClient:
    """Requests to Harbor core at `url`. Timeouts are in seconds. Safe for threads.

    Together the timeouts are shorter than the 60 s for which nginx waits.
    """

    def __init__(
        self, url: str, ca_bundle: Path | None, *, connect_timeout: float = 5.0, response_timeout: float = 50.0
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = tls_context(ca_bundle) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._connect_timeout, self._response_timeout = connect_timeout, response_timeout
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._closer = IdleCloser(self._close_idle, _IDLE_CHECK_SECONDS)

    def deadline(self) -> float:
        """The time on the monotonic clock at which a request that begins now must be answered, lookups included."""
        return time.monotonic() + self._connect_timeout + self._response_timeout

    def send(
        self, method: str, target: str, headers: Headers, body: Body | None = None, *, deadline: float | None = None
    ) -> CoreResponse:
        """Sends one request. A GET or HEAD is sent again once if an idle connection was dead. Every other request uses
        a new connection, so that it is never in doubt whether core received it.

        `deadline` is on the monotonic clock. Without it the timeouts count from now, or from the end of a body that
        comes from a client. Raises `InvalidRequest`, `Unreachable`, `CertificateUntrusted` or `Unexpected`.
        """
        if not _TARGET.fullmatch(target):
            raise InvalidRequest("unencoded characters in the URL: percent-encode them")
        if deadline is None and not isinstance(body, tuple):
            deadline = self.deadline()
        with mapped_errors():
            idle = self._take() if method in _RETRIED_METHODS and body is None else None
            if idle is not None:
                try:
                    return self._exchange(idle, method, target, headers, body, deadline)
                except (ConnectionError, http.client.RemoteDisconnected):
                    idle.close()
            return self._exchange(self._connect(deadline), method, target, headers, body, deadline)

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Keeps a connection for the next request."""
        with self._lock:
            self._idle.append((time.monotonic(), connection))
            surplus = self._idle.pop(0)[1] if len(self._idle) > _MAX_IDLE_CONNECTIONS else None
        if surplus is not None:
            surplus.close()
        self._closer.watch()

    def close(self) -> None:
        """Closes all idle connections."""
        self._closer.stop()
        while (connection := self._take()) is not None:
            connection.close()

    def _take(self) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            if _is_usable(since, connection):
                return connection
            connection.close()

    def _close_idle(self) -> bool:
        with self._lock:
            unusable = [each for each in self._idle if not _is_usable(*each)]
            self._idle = [each for each in self._idle if each not in unusable]
            some_left = bool(self._idle)
        for _, connection in unusable:
            connection.close()
        return some_left

    def _connect(self, deadline: float | None) -> http.client.HTTPConnection:
        seconds = remaining_seconds(self._connect_timeout, deadline)
        if self._tls is None:
            connection: http.client.HTTPConnection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=self._tls)
        connection.connect()
        return connection

    def _exchange(
        self,
        connection: Any,
        method: str,
        target: str,
        headers: Headers,
        body: Body | None,
        deadline: float | None,
    ) -> CoreResponse:
        seconds = self._response_timeout
        try:
            connection.sock.settimeout(remaining_seconds(seconds, deadline))
            connection.response_class = functools.partial(TimedResponse, seconds=seconds, deadline=deadline)
            connection.putrequest(method, self._prefix + target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            complete = _send_body(connection, body)
            return CoreResponse(self, connection, connection.getresponse(), early=not complete)
        except BaseException:
            connection.close()
            raise


@contextlib.contextmanager
def mapped_errors() -> Iterator[None]:
    """Raises `Unreachable`, `CertificateUntrusted` or `Unexpected` in place of errors of sockets and http.client."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise CertificateUntrusted(
            f"cannot verify the certificate of Harbor core ({error.verify_message}): "
            "set SWR_ADAPTER_CORE_CA_BUNDLE to the CA that signed it"
        ) from error
    except TimeoutError as error:
        raise Unreachable(
            "Harbor core did not respond in time: reload the page and check whether the change was applied"
        ) from error
    except UnicodeError as error:
        raise Unreachable(
            "cannot reach Harbor core (invalid host name): correct SWR_ADAPTER_HARBOR_CORE_URL"
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreachable(
            f"cannot reach Harbor core ({reason}): check that it is running and that SWR_ADAPTER_HARBOR_CORE_URL is "
            "right"
        ) from error
    except http.client.HTTPException as error:
        raise Unexpected(
            f"invalid HTTP response from Harbor core ({type(error).__name__}): "
            "check SWR_ADAPTER_HARBOR_CORE_URL and the core log"
        ) from error


def _is_usable(since: float, connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection is not too old, and core has not ended it."""
    fresh = connection.sock is not None and time.monotonic() - since < _MAX_IDLE_SECONDS
    return fresh and not wait_for_read(connection.sock, 0)


def _send_body(connection: http.client.HTTPConnection, body: Body | None) -> bool:
    """Ends the headers and sends the body. Returns False if core stopped reading: its response counts then."""
    blocks, length = ((body,), len(body)) if isinstance(body, bytes) else body or ((), None)
    chunked = body is not None and length is None
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    elif length is not None:
        connection.putheader("Content-Length", str(length))
    connection.endheaders()
    for block in blocks:
        if not block:
            continue
        try:
            connection.send(b"%x\r\n%b\r\n" % (len(block), bytes(block)) if chunked else block)
        except (BrokenPipeError, ConnectionResetError):
            return False
    if chunked:
        connection.send(b"0\r\n\r\n")
    return True
