"""gunicorn's threaded worker with a thread pool per door, a deadline for slow clients, and answers that arrive.

Three things that the stock worker does not do: a busy door leaves no thread to the others; a client that says nothing
keeps a thread; and a connection is closed in the main loop, which waits up to two seconds for each client that does
not hang up, so that a few of them stall every door. Only documented or underscore-free methods are overridden.
"""

from __future__ import annotations

import contextlib
import copy
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

LINGER: Final = 5.0
"""Seconds in which what a client still sends is thrown away after its last answer."""
PAUSE: Final = 1.0
"""Seconds of silence after which it is not waited for any longer."""


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
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                if self._door(listener).to_the_end:
                    self.poller.register(listener, selectors.EVENT_READ, self.accept)
                else:
                    listener.close()

    def accept(self, listener: Any) -> None:
        """Main loop: a new connection waits for its first byte in the poller, not in a thread."""
        try:
            client, address = listener.accept()
        except OSError:
            return
        name = listener.getsockname()
        connection = TConn(self._cfgs[name], client, address, name)
        self.nr_conns += 1
        connection.timeout = time.monotonic() + self.idle_timeout
        self.pending_conns.append(connection)
        readable = functools.partial(self.on_pending_socket_readable, connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, readable)

    def handle(self, conn: TConn) -> Any:
        """Pool thread: one request, from its first byte on."""
        self._heads[conn] = time.monotonic() + self.idle_timeout
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
