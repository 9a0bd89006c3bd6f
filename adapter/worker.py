"""gunicorn's threaded worker with threads, connections and limits per listener, and deadlines for slow clients.

The stock worker has three faults here: a busy port takes threads and connections from the others; a silent client
occupies a thread; and the main loop closes connections, and waits up to two seconds for each client that does not hang
up. Only documented methods, or methods without an underscore, are overridden.
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
import time
from collections.abc import Mapping
from concurrent import futures
from typing import Any, ClassVar, Final

from adapter.inbound_connection import Connection, PacedSocket, PacedTLSSocket
from adapter.listeners import MAX_HEADS_BYTES, PAUSE_SECONDS, Listener, ListenerConfig, ListenerPools
from adapter.request_worker import NEEDS_INPUT, NEEDS_ROOM, RequestWorker
from adapter.server_certificate import Certificate

SILENCE_SECONDS: Final = 1.0
"""Silence of a client after its last response after which the connection ends before `LINGER_SECONDS` are over."""
STOP_SECONDS: Final = 2.0
"""Seconds after SIGTERM in which a connection without a request may still send one."""
_MAX_UNSENT_BYTES: Final = 1 << 18
"""Bytes that may wait in the kernel for a slow client. With more, the kernel reports room only once a third is sent."""
_SCRATCH_BYTES: Final = 1 << 18
_RESET: Final = struct.pack("ii", 1, 0)
"""For `SO_LINGER`: the connection ends with RST."""


class Worker(RequestWorker):
    """The half of the worker that runs in the main loop. `worker_class` makes the class for the settings."""

    listener_configs: ClassVar[Mapping[int, ListenerConfig]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._listeners: dict[Any, Listener] = {}
        self._quits = False
        super().__init__(*arguments, **options)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """gunicorn would compare the limit of connections with the number of threads."""

    @property
    def nr_conns(self) -> int:
        """Number of connections. gunicorn's main loop ends when it is 0, which it also is after SIGINT."""
        return 0 if self._quits else sum(listener.count for listener in self._listeners.values())

    @nr_conns.setter
    def nr_conns(self, _: int) -> None:
        """gunicorn sets its own count; the listeners have the right one."""

    def get_thread_pool(self) -> futures.Executor:
        """gunicorn's hook for another pool."""
        return ListenerPools(self._listeners.values())

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT or SIGQUIT: the process ends without waiting for requests.

        Only sets a flag for the main loop. gunicorn would shut down the thread pool here, which deadlocks when the
        signal interrupts the main loop while it holds the lock of the pool.
        """
        self._quits = True
        self.handle_exit(sig, frame)

    def run(self) -> None:
        super().run()
        if self._quits:
            logging.shutdown()
            # An ordinary exit would wait for the threads that still serve a request.
            os._exit(0)

    def init_process(self) -> None:
        self._lingering: dict[Connection, None] = {}
        self._scratch = bytearray(_SCRATCH_BYTES)
        self._stopping = False
        for each in self.sockets:
            config = self.listener_configs[each.getsockname()[1]]
            self._listeners[each] = Listener(each, config, self._gunicorn_config(config))
        # Neither limit is ever reached: each listener has its own.
        self.worker_connections = 1 + sum(listener.config.connections for listener in self._listeners.values())
        self.max_keepalived = self.worker_connections
        super().init_process()

    def _gunicorn_config(self, config: ListenerConfig) -> Any:
        """In gunicorn TLS is for all listeners or none, but each connection reads its own configuration."""
        if (certificate := config.certificate) is None:
            return self.cfg
        cfg = copy.deepcopy(self.cfg)
        cfg.set("certfile", str(certificate.chain))
        cfg.set("ssl_context", lambda _cfg, _factory: _tls_context(certificate))
        return cfg

    def set_accept_enabled(self, enabled: bool) -> None:
        """Main loop. A stopping worker closes its listeners, so that new connections fail at once and do not hang until
        the process ends."""
        self._resume(float("inf"))
        super().set_accept_enabled(enabled)
        if enabled or self.alive or self._stopping:
            return
        self._stopping = True
        for listener in self._listeners.values():
            if listener.config.open_until_exit:
                self.poller.register(listener.socket, selectors.EVENT_READ, self.accept)
            else:
                listener.socket.close()
        deadline = time.monotonic() + STOP_SECONDS
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

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
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MAX_UNSENT_BYTES)
        conn = Connection(listener, PacedSocket(fileno=client.detach()), address)
        conn.timeout = time.monotonic() + self.idle_timeout
        self.pending_conns.append(conn)
        readable = functools.partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _pause(self, listener: Listener, error: OSError) -> None:
        self.poller.unregister(listener.socket)
        listener.paused_until = time.monotonic() + PAUSE_SECONDS
        if count := listener.events_to_log("pause"):
            self.log.warning(
                "the %s listener accepts no connections for a moment (%s, %d times): raise the limit of open files",
                listener.config.name,
                error.strerror,
                count,
            )

    def _resume(self, now: float) -> None:
        for listener in self._listeners.values():
            if listener.paused_until is not None and now >= listener.paused_until:
                listener.paused_until = None
                self.poller.register(listener.socket, selectors.EVENT_READ, self.accept)

    def _end_longest_silent(self, listener: Listener) -> bool:
        """Ends the connection that has been without a whole head for the longest time; False if no connection is."""
        if count := listener.events_to_log("full"):
            self.log.warning(
                "the %s listener is full (limit %d connections; %d new connections each replaced the longest silent "
                "one): find the clients that stay connected, or raise the limit of open files",
                listener.config.name,
                listener.config.connections,
                count,
            )
        queues = (self._lingering, self.keepalived_conns, self.pending_conns)
        oldest = [next((conn for conn in queue if conn.listener is listener), None) for queue in queues]
        silent = min(filter(None, oldest), key=lambda conn: conn.silent_since, default=None)
        if silent is not None:
            self._drop(silent)
        return silent is not None

    def _drop(self, conn: Connection) -> None:
        """Ends a connection that waits in the poller."""
        self._lingering.pop(conn, None)
        for queue in (self.keepalived_conns, self.pending_conns):
            with contextlib.suppress(ValueError):
                queue.remove(conn)
        self.poller.unregister(conn.sock)
        conn.close()

    def on_pending_socket_readable(self, conn: Connection, client: Any) -> None:
        """Main loop: input on a new connection; its timeout goes on until the head is whole."""
        if self._has_whole_head(conn):
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """Main loop: input on a kept connection; its timeout goes on until the head is whole."""
        if self._has_whole_head(conn):
            super().on_client_socket_readable(conn, client)

    def _has_whole_head(self, conn: Connection) -> bool:
        if conn.sock.fileno() < 0:
            # Closed after the poller reported it.
            return False
        if conn.receive_head():
            return True
        self._limit_heads(conn.listener)
        return False

    def _limit_heads(self, listener: Listener) -> None:
        if listener.heads_bytes > MAX_HEADS_BYTES:
            waiting = [each for each in (*self.keepalived_conns, *self.pending_conns) if each.listener is listener]
            self._drop(max(waiting, key=lambda each: each.head_bytes))

    def finish_request(self, conn: Connection, fs: futures.Future[Any]) -> None:
        """Main loop: a pool thread has ended its work on the connection."""
        if conn.sock.fileno() < 0:
            # The client left during the TLS handshake.
            conn.close()
            return
        result = False if fs.cancelled() or fs.exception() is not None else fs.result()
        if result is NEEDS_INPUT or result is NEEDS_ROOM:
            self._wait_again(conn, for_room=result is NEEDS_ROOM)
            return
        conn.silent_since = time.monotonic()
        # For a request that has arrived behind this one.
        conn.timeout = conn.silent_since + self.idle_timeout
        if conn.resets:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            conn.close()
            return
        if conn.lingers_until is None:
            super().finish_request(conn, fs)
            return
        conn.sock.setblocking(False)
        self._lingering[conn] = None
        readable = functools.partial(self._discard_input, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _wait_again(self, conn: Connection, *, for_room: bool) -> None:
        """Main loop: the connection waits in the poller for input or for room, and its timeout goes on."""
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_SECONDS)
        bisect.insort(self.pending_conns, conn, key=lambda each: each.timeout)
        if for_room:
            self.poller.register(conn.sock, selectors.EVENT_WRITE, functools.partial(self._on_room, conn))
        else:
            readable = functools.partial(self.on_pending_socket_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, readable)
        self._limit_heads(conn.listener)

    def _on_room(self, conn: Connection, client: Any) -> None:
        """Main loop: the client has received its responses, so its next request can be served."""
        if conn.sock.fileno() >= 0:
            super().on_pending_socket_readable(conn, client)

    def _discard_input(self, conn: Connection, _: Any) -> None:
        """Main loop: drops what a client still sends after its last response (RFC 9112 section 9.6).

        Closing at once would reset the connection, and the client would report "broken pipe" instead of the response.
        """
        if conn.sock.fileno() < 0:
            return
        try:
            # Below TLS: the input need not be decrypted.
            count = socket.socket.recv_into(conn.sock, self._scratch)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count:
            conn.silent_since = time.monotonic()
        else:
            self._drop(conn)

    def notify(self) -> None:
        """Main loop, at least once a second: resumes paused listeners and ends lingering connections."""
        super().notify()
        now = time.monotonic()
        self._resume(now)
        for conn in [each for each in self._lingering if each.has_lingered(now, SILENCE_SECONDS)]:
            self._drop(conn)


def _tls_context(certificate: Certificate) -> ssl.SSLContext:
    """The context for the next connection."""
    context = certificate.context()
    context.sslsocket_class = PacedTLSSocket
    return context


def worker_class(listener_configs: Mapping[int, ListenerConfig], idle_timeout: float) -> type[Worker]:
    """The class of which gunicorn makes its worker: configurations by port; `idle_timeout` is in seconds."""
    return type("ConfiguredWorker", (Worker,), {"listener_configs": listener_configs, "idle_timeout": idle_timeout})
