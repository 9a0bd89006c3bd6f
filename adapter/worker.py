"""gunicorn's threaded worker with a thread pool per door, a deadline for slow clients, and answers that arrive.

Three things that the stock worker does not do: a busy door leaves no thread to the others; a client that says nothing
keeps a thread; and a connection is closed in the main loop, which waits up to two seconds for each client that does
not hang up, so that a few of them stall every door. Only documented or underscore-free methods are overridden.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import functools
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gunicorn.workers.gthread import TConn, ThreadWorker

from adapter.certificate import Certificate
from adapter.swr.caller import has_ended

LINGER: Final = 5.0
"""Seconds in which what a client still sends is thrown away after its last answer."""
PAUSE: Final = 1.0
"""Seconds of silence after which it is not waited for any longer."""


HEAD_TIMEOUT: Final = 10.0
"""Seconds for a TLS handshake and a head in a thread; a plain head is whole before it gets one."""
STOPPING: Final = 2.0
"""Seconds after SIGTERM in which a connection that has not asked for anything may still do so."""
FULL: Final = 0.5
"""Seconds without new connections when there are no file descriptors left."""
_LONGEST_HEAD: Final = 64 << 10
"""Bytes; gunicorn refuses it long before."""
_TLS_HEADER: Final = 5
_HANDSHAKE: Final = 22
_UNSENT: Final = 1 << 18
"""Bytes that may wait in the kernel for a slow client: of more, it reports room only when a third has gone."""

_BODY: Final = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING"})


class Here(threading.local):
    """The request of this thread: whether it announced no body, and what ends its connection after the answer."""

    bodiless = False

    @staticmethod
    def force_close() -> None:
        """Nothing to close before the first request."""


here: Final = Here()


class DoorPools(futures.Executor):
    """One thread pool per listener, picked by the address that a connection came in on."""

    def __init__(self, threads: Mapping[Any, int]) -> None:
        self._pools = {
            address: futures.ThreadPoolExecutor(number, thread_name_prefix=f"door-{address[1]}")
            for address, number in threads.items()
        }

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """Runs `fn(connection)` in the pool of the connection's door."""
        return self._pools[args[0].server].submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """All of them."""
        for pool in self._pools.values():
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def one_cookie(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Cookies that came in several lines in one, as RFC 9113 section 8.2.3 joins them: gunicorn would take a comma."""
    crumbs = [value for name, value in headers if name == "COOKIE"]
    if len(crumbs) < 2:
        return headers
    return [each for each in headers if each[0] != "COOKIE"] + [("COOKIE", "; ".join(crumbs))]


@dataclass(frozen=True)
class Door:
    """What is particular to one listener: how many threads, what it speaks TLS with (None: it does not), and whether
    it stays open while the process ends."""

    threads: int
    certificate: Certificate | None = None
    to_the_end: bool = False


class DoorWorker(ThreadWorker):
    """Made for the settings by `worker_class`."""

    doors: ClassVar[Mapping[int, Door]] = {}
    idle_timeout: ClassVar[float] = 60.0

    def get_thread_pool(self) -> futures.Executor:
        """gunicorn's hook for a pool of one's own."""
        return DoorPools({each.getsockname(): self._door(each).threads for each in self.sockets})

    def _door(self, listener: Any) -> Door:
        return self.doors[listener.getsockname()[1]]

    def init_process(self) -> None:
        self._heads: dict[TConn, float] = {}
        self._stopping = False
        self._full_until = 0.0
        self._cfgs = {each.getsockname(): self._configured(self._door(each)) for each in self.sockets}
        super().init_process()

    def _configured(self, door: Door) -> Any:
        """TLS is for all listeners or none in gunicorn, but each connection looks at its own configuration."""
        if (certificate := door.certificate) is None:
            return self.cfg
        cfg = copy.deepcopy(self.cfg)
        cfg.set("certfile", str(certificate.chain))
        cfg.set("ssl_context", lambda _cfg, _factory: certificate.context())
        return cfg

    def set_accept_enabled(self, enabled: bool) -> None:
        """Main loop. At the end a listener is closed, not only left alone: new work is refused at once, and not left
        hanging until the process is gone."""
        if enabled and time.monotonic() < self._full_until:
            return
        super().set_accept_enabled(enabled)
        if enabled or self.alive or self._stopping:
            return
        self._stopping = True
        for listener in self.sockets:
            if self._door(listener).to_the_end:
                self.poller.register(listener, selectors.EVENT_READ, self.accept)
            else:
                listener.close()
        until = time.monotonic() + STOPPING
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, until)

    def accept(self, listener: Any) -> None:
        """Main loop: a new connection waits for a whole head in the poller, not in a thread."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # The listener stays readable, so the loop would do nothing else.
                self.log.warning("no file descriptors are left: new connections wait")
                self._full_until = time.monotonic() + FULL
                self.set_accept_enabled(False)
            return
        name = listener.getsockname()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        connection = TConn(self._cfgs[name], Patient(fileno=client.detach()), address, name)
        self.nr_conns += 1
        connection.timeout = time.monotonic() + self.idle_timeout
        self.pending_conns.append(connection)
        readable = functools.partial(self.on_pending_socket_readable, connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, readable)

    def on_pending_socket_readable(self, conn: TConn, client: Any) -> None:
        """Main loop: a new connection; its timeout goes on while the head is not whole."""
        if head_is_whole(client, tls=conn.cfg.is_ssl):
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """Main loop: a connection that was kept alive; the same, where it can be seen."""
        if conn.cfg.is_ssl or head_is_whole(client, tls=False):
            super().on_client_socket_readable(conn, client)

    def finish_request(self, conn: TConn, fs: futures.Future[Any]) -> None:
        """Main loop: a client that left in its TLS handshake would be counted twice."""
        if conn.sock.fileno() < 0:
            self.nr_conns -= 1
            return
        super().finish_request(conn, fs)

    def handle(self, conn: TConn) -> Any:
        """Pool thread: one request, from its first byte on."""
        self._heads[conn] = time.monotonic() + min(HEAD_TIMEOUT, self.idle_timeout)
        here.bodiless = False
        try:
            keep = super().handle(conn)
        finally:
            self._heads.pop(conn, None)
        if keep is False:
            # Without a body nothing can be under way that a close would break.
            linger(conn.sock, 0 if here.bodiless else LINGER)
        return keep

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Pool thread: the head is complete. What comes or goes from here on may not stall longer than a while."""
        self._heads.pop(conn, None)
        req.headers = one_cookie(req.headers)
        here.force_close = req.force_close  # type: ignore[method-assign]
        here.bodiless = not any(name in _BODY and value != "0" for name, value in req.headers)
        conn.sock.settimeout(self.idle_timeout)
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """Main loop, at least once a second: ends connections whose head does not get complete."""
        super().notify()
        now = time.monotonic()
        for conn, until in list(self._heads.items()):
            if now > until and self._heads.pop(conn, None) is not None:
                # Wakes the thread that reads; below TLS, whose own shutdown would wait.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)


class Patient(socket.socket):
    """Waits for each part of what is sent as long as it may take, and not for all of it together: a client may be slow
    as long as it takes something."""

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        left = memoryview(data)
        while left:
            left = left[self.send(left, flags) :]


def head_is_whole(connection: socket.socket, *, tls: bool) -> bool:
    """Whether there is a whole head, or an end, or more than a head can be; else the kernel says when there is more.

    Of TLS the first record is all that can be seen from outside.
    """
    try:
        seen = connection.recv(_LONGEST_HEAD, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    if tls:
        wanted = _TLS_HEADER + int.from_bytes(seen[3:_TLS_HEADER], "big") if len(seen) >= _TLS_HEADER else _TLS_HEADER
        whole = not seen or seen[0] != _HANDSHAKE or len(seen) >= min(wanted, _LONGEST_HEAD)
    else:
        # What begins with no method, as a TLS hello, is refused at once.
        whole = not seen[:1].isalpha() or b"\r\n\r\n" in seen or len(seen) >= _LONGEST_HEAD
    whole = whole or has_ended(connection)
    # As long as there is no more than this, the poller need not be told.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if whole else len(seen) + 1)
    return whole


def linger(connection: socket.socket, seconds: float) -> None:
    """After the last answer: lets the client read it while what it still sends is thrown away (RFC 9112 §9.6).

    Closing at once would reset the connection under a client that is still sending, and its log would say "broken
    pipe" where the answer has a sentence. The socket is left shut down, so that gunicorn's own close does not wait.
    """
    scratch = bytearray(1 << 18)
    until = time.monotonic() + seconds
    try:
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(min(left, PAUSE))
            # Below TLS: there is no need to decrypt it.
            if not socket.socket.recv_into(connection, scratch):
                break
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def worker_class(doors: Mapping[int, Door], idle_timeout: float) -> type[DoorWorker]:
    """The class that gunicorn makes its worker of: doors by port; `idle_timeout` is in seconds."""
    return type("ConfiguredWorker", (DoorWorker,), {"doors": doors, "idle_timeout": idle_timeout})
