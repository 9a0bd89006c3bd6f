"""Requests to Harbor's core, byte for byte: no redirects followed, no cookies kept, nothing from the environment.

On `http.client` itself, because every library above it tidies targets and headers up on their way.
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
from adapter.http.connections import tls_context
from adapter.http.idle import IdleCloser
from adapter.provider.core_responses import BLOCK, Response, left
from adapter.provider.headers import Headers

_IDLE: Final = 30.0
"""Seconds after which a connection is not used again: it may be dead without a sign."""
_CHECKED: Final = 5.0
"""Seconds between two looks for connections that core has ended, or that are too old."""
_KEPT: Final = 16
_REPEATABLE: Final = frozenset({"GET", "HEAD"})
_TARGET: Final = re.compile("[!-~]+")

Body = bytes | tuple[Iterable[bytes | memoryview], int | None]
"""Bytes, or blocks with their total length; None: not known, the body goes out in chunks. A block counts until the
next one is taken."""


class Answer:
    """An answer of core. Read it with `whole` or `blocks`, and close it.

    `early`: it came before the end of the request's body, of which nothing more was read.
    """

    def __init__(
        self, core: CoreClient, connection: http.client.HTTPConnection, response: Response, *, early: bool
    ) -> None:
        self._core, self._connection, self._response = core, connection, response
        self.early = early
        self._ahead: list[bytes] = []
        self._left = response.length
        self.told = core.told
        self.status = response.status
        self.reason = response.reason
        self.headers: Headers = response.sent_headers()

    def whole(self, most: int) -> bytes | None:
        """The body, or None when it is longer than `most`; what was read then comes first in `blocks`.

        Raises `Unreachable` or `Unexpected` when it does not come to its end in time, `Busy` when the process holds too
        many documents.
        """
        if self._left is not None and self._left > most:
            return None
        size = 0
        with self._core.told():
            while block := self._next():
                hold(len(block), WAIT_SECONDS)
                self._ahead.append(block)
                size += len(block)
                if size > most:
                    return None
        body, self._ahead = b"".join(self._ahead), []
        return body

    def begin(self) -> None:
        """Waits for the first of the body, as long as that can still be told from a whole answer. Raises as `whole`."""
        if not self._ahead:
            with self._core.told():
                self._ahead.append(self._next())

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes. A break ends the client's connection too, so that nothing short looks complete."""
        # A long answer may take its time, as long as something comes.
        self._response.patience.until = None
        while self._ahead:
            if block := self._ahead.pop(0):
                yield block
        try:
            while block := self._next():
                yield block
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionResetError(errno.ECONNRESET, "core's answer broke off") from error

    def close(self) -> None:
        """Gives the connection back if the answer was read to its end."""
        if self._response.isclosed() and not self._response.will_close:
            self._core.keep(self._connection)
        else:
            self._response.close()
            self._connection.close()

    def _next(self) -> bytes:
        block = self._response.read1(BLOCK)
        if self._left is not None:
            self._left -= len(block)
            if not block and self._left > 0:
                raise http.client.IncompleteRead(b"", self._left)
            if self._left == 0 and not self._response.isclosed():
                # Only a read at the end lets http.client see that it is there.
                self._response.read(1)
        return block


class CoreClient:
    """Harbor's core at a URL. `connect` and `answer` are seconds; safe for threads.

    Together they stay below the 60 s after which nginx gives up on the door.
    """

    def __init__(self, url: str, ca_bundle: Path | None, *, connect: float = 5.0, answer: float = 50.0) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = tls_context(ca_bundle) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._connect, self._answer = connect, answer
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._closer = IdleCloser(self._close_idle, _CHECKED)

    def until(self) -> float:
        """When a request that begins now has to be answered, all that the door asks on its way included."""
        return time.monotonic() + self._connect + self._answer

    def send(
        self, method: str, target: str, headers: Headers, body: Body | None = None, *, until: float | None = None
    ) -> Answer:
        """One request. What may be repeated is sent again once, when a kept connection turns out to be dead; all else
        goes out on a new one, so that nobody has to guess whether core has taken it.

        `until` is on the monotonic clock; without it the time counts from here, or from the end of a body that comes
        at its client's pace. Raises `InvalidRequest`, `Unreachable`, `CertificateUntrusted` or `Unexpected`.
        """
        if not _TARGET.fullmatch(target):
            raise InvalidRequest("the request's target must be percent-encoded")
        if until is None and not isinstance(body, tuple):
            until = self.until()
        with self.told():
            kept = self._take() if method in _REPEATABLE and body is None else None
            if kept is not None:
                try:
                    return self._once(kept, method, target, headers, body, until)
                except (ConnectionError, http.client.RemoteDisconnected):
                    kept.close()
            return self._once(self._new(until), method, target, headers, body, until)

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Takes a connection back whose answer was read."""
        with self._lock:
            self._idle.append((time.monotonic(), connection))
            old = self._idle.pop(0)[1] if len(self._idle) > _KEPT else None
        if old is not None:
            old.close()
        self._closer.watch()

    def close(self) -> None:
        """Ends the connections that are kept."""
        self._closer.stop()
        while (connection := self._take()) is not None:
            connection.close()

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turns what can go wrong into sentences."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise CertificateUntrusted(
                f"the certificate of Harbor's core does not verify: {error.verify_message}; "
                "set SWR_ADAPTER_CORE_CA_BUNDLE to the CA that signed it"
            ) from error
        except TimeoutError as error:
            raise Unreachable("Harbor's core did not answer in time") from error
        except UnicodeError as error:
            raise Unreachable("Harbor's core cannot be reached: its name is no host name") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Unreachable(f"Harbor's core cannot be reached: {reason}") from error
        except http.client.HTTPException as error:
            raise Unexpected(f"the answer of Harbor's core makes no sense: {type(error).__name__}") from error

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
            dead = [each for each in self._idle if not _is_usable(*each)]
            self._idle = [each for each in self._idle if each not in dead]
            left_over = bool(self._idle)
        for _, connection in dead:
            connection.close()
        return left_over

    def _new(self, until: float | None) -> http.client.HTTPConnection:
        seconds = left(self._connect, until)
        if self._tls is None:
            connection: http.client.HTTPConnection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=self._tls)
        connection.connect()
        return connection

    def _once(
        self,
        connection: Any,
        method: str,
        target: str,
        headers: Headers,
        body: Body | None,
        until: float | None,
    ) -> Answer:
        try:
            connection.sock.settimeout(left(self._answer, until))
            connection.response_class = functools.partial(Response, seconds=self._answer, until=until)
            connection.putrequest(method, self._prefix + target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            sent = _send(connection, body)
            return Answer(self, connection, connection.getresponse(), early=not sent)
        except BaseException:
            connection.close()
            raise


def _is_usable(since: float, connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection is neither too old nor ended by core."""
    fresh = connection.sock is not None and time.monotonic() - since < _IDLE
    return fresh and not wait_for_read(connection.sock, 0)


def _send(connection: http.client.HTTPConnection, body: Body | None) -> bool:
    """Ends the headers and sends the body; False where core did not take all of it: then its answer counts."""
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
