"""gunicorn's threaded worker with threads, connections and limits per listener, deadlines for slow clients, and answers
that arrive.

What the stock worker does not do: a busy port leaves no thread and no connection to the others; a client that says
nothing keeps a thread; and a connection is closed in the main loop, which waits up to two seconds for each client that
does not hang up, so that a few of them stall every port. Only documented or underscore-free methods are overridden.
"""

from __future__ import annotations

import bisect
import contextlib
import copy
import functools
import logging
import os
import selectors
import socket
import ssl
import struct
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any, ClassVar, Final

from gunicorn.workers.gthread import ThreadWorker

from adapter import protocol_errors
from adapter.certificate import Certificate
from adapter.connection import Connection, PacedSocket, PacedTLSSocket
from adapter.errors import InternalError
from adapter.listeners import MAX_HEADS_BYTES, PAUSE_SECONDS, Listener, ListenerConfig
from adapter.operations.logs import log_refused
from adapter.protocol_errors import INVALID_RESPONSE

LINGER: Final = 5.0
"""Seconds in which what a client still sends is thrown away after its last answer; no thread waits."""
PAUSE: Final = 1.0
"""Seconds of silence after which it is not waited for any longer."""
STOPPING: Final = 2.0
"""Seconds after SIGTERM in which a connection that has not asked for anything may still do so."""
_UNSENT: Final = 1 << 18
"""Bytes that may wait in the kernel for a slow client: of more, it reports room only when a third has gone."""

_WAITS: Final = object()
"""What `handle` returns for a connection whose client has not sent enough."""
_FULL: Final = object()
"""The same for one whose client has not taken enough of the answers before."""
_RESET: Final = struct.pack("ii", 1, 0)
"""For `SO_LINGER`: the connection ends with RST."""
_BODY: Final = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING"})


class Here(threading.local):
    """The request of this thread: its connection, whether it announced no body, what ends its connection after the
    answer, its WSGI environment once an application has it, and gunicorn's response."""

    bodiless = False
    connection: Connection | None = None
    environ: Mapping[str, Any] | None = None
    response: Any = None

    @staticmethod
    def force_close() -> None:
        """Nothing to close before the first request."""


here: Final = Here()


class ListenerPools(futures.Executor):
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


class Worker(ThreadWorker):
    """Made for the settings by `worker_class`."""

    doors: ClassVar[Mapping[int, ListenerConfig]] = {}
    idle_timeout: ClassVar[float] = 60.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._listeners: dict[Any, Listener] = {}
        self._quits = False
        super().__init__(*arguments, **options)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """gunicorn would compare the limit of connections with the number of threads."""

    @property
    def nr_conns(self) -> int:
        """gunicorn's count of connections; the listeners have it. The main loop ends when there are none, or after
        SIGINT."""
        return 0 if self._quits else sum(listener.count for listener in self._listeners.values())

    @nr_conns.setter
    def nr_conns(self, _: int) -> None:
        """gunicorn counts along."""

    def get_thread_pool(self) -> futures.Executor:
        """gunicorn's hook for a pool of one's own."""
        return ListenerPools({each.address: each.door.threads for each in self._listeners.values()})

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT or SIGQUIT: the process ends without waiting for requests.

        Only leaves word for the main loop. gunicorn would end the thread pool here, and wait for ever for a lock that
        the main loop holds when the signal comes while it hands over a request.
        """
        self._quits = True
        self.handle_exit(sig, frame)

    def run(self) -> None:
        super().run()
        if self._quits:
            logging.shutdown()
            # An ordinary end would wait for the threads that still serve a request.
            os._exit(0)

    def init_process(self) -> None:
        self._ending: dict[Connection, None] = {}
        self._scratch = bytearray(1 << 18)
        self.cfg.set("post_request", _remember_response)
        self._stopping = False
        for each in self.sockets:
            door = self.doors[each.getsockname()[1]]
            self._listeners[each] = Listener(each, door, self._configured(door))
        # Neither is reached: each listener keeps to its own limit.
        self.worker_connections = 1 + sum(listener.door.connections for listener in self._listeners.values())
        self.max_keepalived = self.worker_connections
        super().init_process()

    def _configured(self, door: ListenerConfig) -> Any:
        """TLS is for all listeners or none in gunicorn, but each connection looks at its own configuration."""
        if (certificate := door.certificate) is None:
            return self.cfg
        cfg = copy.deepcopy(self.cfg)
        cfg.set("certfile", str(certificate.chain))
        cfg.set("ssl_context", lambda _cfg, _factory: _tls_context(certificate))
        return cfg

    def set_accept_enabled(self, enabled: bool) -> None:
        """Main loop. At the end a listener is closed, not only left alone: new work is refused at once, and not left
        hanging until the process is gone."""
        self._resume(float("inf"))
        super().set_accept_enabled(enabled)
        if enabled or self.alive or self._stopping:
            return
        self._stopping = True
        for listener in self._listeners.values():
            if listener.door.to_the_end:
                self.poller.register(listener.socket, selectors.EVENT_READ, self.accept)
            else:
                listener.socket.close()
        until = time.monotonic() + STOPPING
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, until)

    def accept(self, socket_: Any) -> None:
        """Main loop: a new connection waits for a whole head in the poller, not in a thread."""
        listener = self._listeners[socket_]
        try:
            if listener.full and not self._end_longest_silent(listener):
                socket_.accept()[0].close()
                return
            client, address = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # The listener stays readable, so the loop would do nothing else.
            self._pause(listener, error)
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        conn = Connection(listener, PacedSocket(fileno=client.detach()), address)
        conn.timeout = time.monotonic() + self.idle_timeout
        self.pending_conns.append(conn)
        readable = functools.partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _pause(self, listener: Listener, error: OSError) -> None:
        self.poller.unregister(listener.socket)
        listener.paused_until = time.monotonic() + PAUSE_SECONDS
        if count := listener.due("pause"):
            self.log.warning(
                "the %s listener accepts no connections for a moment (%s, %d times): raise the limit of open files",
                listener.door.name,
                error.strerror,
                count,
            )

    def _resume(self, now: float) -> None:
        for listener in self._listeners.values():
            if listener.paused_until is not None and now >= listener.paused_until:
                listener.paused_until = None
                self.poller.register(listener.socket, selectors.EVENT_READ, self.accept)

    def _end_longest_silent(self, listener: Listener) -> bool:
        """Ends the connection whose client has sent no whole head for the longest time; whether there was one."""
        if count := listener.due("full"):
            self.log.warning(
                "the %s listener is full: %d connections (limit), %d new ones since the last such line, each in place "
                "of the longest silent one: find the clients that stay connected, or raise the limit of open files",
                listener.door.name,
                listener.door.connections,
                count,
            )
        queues = (self._ending, self.keepalived_conns, self.pending_conns)
        oldest = [next((conn for conn in queue if conn.listener is listener), None) for queue in queues]
        silent = min(filter(None, oldest), key=lambda conn: conn.silent_since, default=None)
        if silent is not None:
            self._drop(silent)
        return silent is not None

    def _drop(self, conn: Connection) -> None:
        """Ends a connection that waits in the poller."""
        self._ending.pop(conn, None)
        for queue in (self.keepalived_conns, self.pending_conns):
            with contextlib.suppress(ValueError):
                queue.remove(conn)
        self.poller.unregister(conn.sock)
        conn.close()

    def on_pending_socket_readable(self, conn: Connection, client: Any) -> None:
        """Main loop: a new connection; its timeout goes on while the head is not whole."""
        if self._head_is_whole(conn):
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """Main loop: a connection that was kept alive; the same."""
        if self._head_is_whole(conn):
            super().on_client_socket_readable(conn, client)

    def _head_is_whole(self, conn: Connection) -> bool:
        if conn.sock.fileno() < 0:
            # Ended since the poller looked.
            return False
        if conn.receive_head():
            return True
        self._bound_heads(conn.listener)
        return False

    def _bound_heads(self, listener: Listener) -> None:
        if listener.heads_bytes > MAX_HEADS_BYTES:
            waiting = [each for each in (*self.keepalived_conns, *self.pending_conns) if each.listener is listener]
            self._drop(max(waiting, key=lambda each: each.head_bytes))

    def finish_request(self, conn: Connection, fs: futures.Future[Any]) -> None:
        """Main loop: a client that left in its TLS handshake has no socket any more."""
        if conn.sock.fileno() < 0:
            conn.close()
            return
        result = False if fs.cancelled() or fs.exception() is not None else fs.result()
        if result is _WAITS or result is _FULL:
            self._wait_again(conn, for_room=result is _FULL)
            return
        conn.silent_since = time.monotonic()
        # For a request that has come behind this one.
        conn.timeout = conn.silent_since + self.idle_timeout
        if conn.resets:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            conn.close()
            return
        if conn.lingers_until is None:
            super().finish_request(conn, fs)
            return
        conn.sock.setblocking(False)
        self._ending[conn] = None
        readable = functools.partial(self._throw_away, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _wait_again(self, conn: Connection, *, for_room: bool) -> None:
        """Main loop: a client that has not sent a whole handshake or head, or that has not taken the answers before,
        waits in the poller, and its time goes on."""
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOPPING)
        bisect.insort(self.pending_conns, conn, key=lambda each: each.timeout)
        if for_room:
            self.poller.register(conn.sock, selectors.EVENT_WRITE, functools.partial(self._on_room, conn))
        else:
            readable = functools.partial(self.on_pending_socket_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, readable)
        self._bound_heads(conn.listener)

    def _on_room(self, conn: Connection, client: Any) -> None:
        """Main loop: the next request, which came behind an answer that was not taken, can be served."""
        if conn.sock.fileno() >= 0:
            super().on_pending_socket_readable(conn, client)

    def _throw_away(self, conn: Connection, _: Any) -> None:
        """Main loop: what a client still sends after its last answer (RFC 9112 section 9.6).

        Closing at once would reset the connection under it, and its log would say "broken pipe" where the answer has a
        sentence.
        """
        if conn.sock.fileno() < 0:
            return
        try:
            # Below TLS: there is no need to decrypt it.
            count = socket.socket.recv_into(conn.sock, self._scratch)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count:
            conn.silent_since = time.monotonic()
        else:
            self._drop(conn)

    def handle(self, conn: Connection) -> Any:
        """Pool thread: one request, from its first byte on."""
        here.connection, here.environ, here.bodiless = conn, None, False
        keep = self._waiting_or_failed(conn)
        if keep is None:
            conn.begin()
            keep = super().handle(conn)
        if keep is False and not conn.resets:
            # Without a body nothing can be under way that a close would break.
            conn.end(0 if here.bodiless else LINGER)
        return keep

    def _waiting_or_failed(self, conn: Connection) -> object:
        """Pool thread: `_WAITS` while the head is not whole, `_FULL` while an answer would have to wait, False when TLS
        failed, None when it can be read."""
        if not conn.has_room:
            return _FULL
        try:
            return None if conn.receive_rest() else _WAITS
        except ssl.SSLError as error:
            # An end is no failure.
            if error.args[0] != ssl.SSL_ERROR_EOF:
                self.handle_error(None, conn.sock, conn.client, error)
        except OSError:
            pass
        return False

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Pool thread: the head is complete. What comes or goes from here on may not stall longer than a while."""
        req.headers = one_cookie(req.headers)
        here.force_close = req.force_close  # type: ignore[method-assign]
        here.bodiless = not any(name in _BODY and value != "0" for name, value in req.headers)
        conn.sock.settimeout(self.idle_timeout)
        here.response = None
        try:
            keep = super().handle_request(req, conn)
        except BaseException:
            # HTTP/1.0 has no chunks: without a length, the end of the connection would be the end of the body.
            conn.resets = req.version < (1, 1) and getattr(here.response, "headers_sent", False)
            raise
        # After an answer without `100 Continue` nobody knows whether the body comes.
        return keep and not conn.forget_expectation()

    def handle_error(self, _req: Any, client: Any, _addr: Any, exc: Exception) -> None:
        """Pool thread: a head that cannot be read, or a response that cannot be sent, in our own envelope."""
        conn, environ = here.connection, here.environ or {}
        if conn is None:
            return
        conn.forget_expectation()
        method, path = conn.asked
        door = conn.listener.door
        error = protocol_errors.error_for(exc, door.max_line)
        request_id = environ.get("adapter.request_id")
        if isinstance(error, InternalError):
            self._log_defect(exc)
        if request_id is None:
            request_id = uuid.uuid4().hex
            status, told = (0, "TLS failed") if error is None else (error.status, f"{type(error).__name__}: {error}")
            log_refused(door.name, request_id, method, path, status=status, client=conn.client[0], error=told)
        if error is not None:
            body = door.refuse(error, path, request_id)
            with contextlib.suppress(OSError):
                client.settimeout(self.idle_timeout)
                client.sendall(protocol_errors.response(error, body, request_id, head=method == "HEAD"))

    def _log_defect(self, exception: Exception) -> None:
        """An invalid header is somebody else's that was passed on; its name is all that is told of it."""
        if isinstance(exception, INVALID_RESPONSE):
            self.log.error("a response has an invalid header, and was not sent: %s", exception.hdr)
        else:
            self.log.error("a request failed", exc_info=exception)

    def notify(self) -> None:
        """Main loop, at least once a second: listeners that were paused, and clients that have had time to leave."""
        super().notify()
        now = time.monotonic()
        self._resume(now)
        for conn in [each for each in self._ending if each.has_lingered(now, PAUSE)]:
            self._drop(conn)


def _tls_context(certificate: Certificate) -> ssl.SSLContext:
    """For the next connection."""
    context = certificate.context()
    context.sslsocket_class = PacedTLSSocket
    return context


def _remember_response(_worker: Any, _request: Any, _environ: Any, response: Any) -> None:
    """gunicorn's hook for the end of a request."""
    here.response = response


def worker_class(doors: Mapping[int, ListenerConfig], idle_timeout: float) -> type[Worker]:
    """The class that gunicorn makes its worker of: doors by port; `idle_timeout` is in seconds."""
    return type("ConfiguredWorker", (Worker,), {"doors": doors, "idle_timeout": idle_timeout})
