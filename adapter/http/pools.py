"""Pools of connections to SWR, shared by all threads; connections that stay idle are closed.

requests would load the CA bundle for each new connection, keep cookies and follow redirects; urllib3 checks an idle
connection only at the next request.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

from adapter.http.resolver import Resolver
from adapter.http.tls import tls_context
from adapter.http.upstream_connections import BLOCK_BYTES, PlainConnection, TLSConnection
from adapter.settings import LOOPBACK

_IDLE_CHECK_SECONDS: Final = 5.0
"""Time between two checks of the idle connections."""


class IdleCloser:
    """Calls `close_idle` every `seconds` in a thread of its own, until the call returns that no connection is left.

    The thread starts with the first idle connection, so that a process can fork before, and ends with the last one.
    """

    def __init__(self, close_idle: Callable[[], bool], seconds: float) -> None:
        self._close_idle = close_idle
        self._seconds = seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def watch(self) -> None:
        """Notes that a connection has become idle."""
        with self._lock:
            if self._stopped.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="idle-connections", daemon=True)
            # A process that is ending can start no thread, and keeps no connection either.
            with contextlib.suppress(RuntimeError):
                self._thread.start()

    def stop(self) -> None:
        """Ends the thread, if there is one; connections that become idle later are not closed."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            with self._lock:
                if not self._close_idle():
                    self._thread = None
                    return


class IdlePools:
    """The idle connections in urllib3's pools."""

    def __init__(self, seconds: float) -> None:
        self._pools: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()
        self.closer = IdleCloser(self.close_idle, seconds)

    def add(self, pool: Any) -> None:
        """Adds a new pool."""
        with self._lock:
            self._pools.add(pool)

    def close_idle(self) -> bool:
        """Closes connections that the peer has ended, or that were idle for too long; returns whether any is left."""
        with self._lock:
            pools = list(self._pools)
        # A list, not a generator: every pool must be checked.
        left = [_close_idle(pool.pool) for pool in pools if pool.pool is not None]
        return any(left)


def _close_idle(queue: Any) -> bool:
    """For the queue of one pool, in which None means a closed connection."""
    with queue.mutex:
        idle = [each for each in queue.queue if each is not None]
        dead = [each for each in idle if not each.is_connected]
        queue.queue[:] = [None if each in dead else each for each in queue.queue]
    for each in dead:
        each.close()
    return len(dead) < len(idle)


class _WatchedPool:
    """For urllib3's two pools: reports connections that become idle."""

    def __init__(self, *arguments: Any, idle: IdlePools, resolver: Resolver, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._idle = idle
        self._resolver = resolver
        idle.add(self)

    def _new_conn(self) -> Any:
        """urllib3's hook for a connection that is not open yet."""
        connection = super()._new_conn()  # type: ignore[misc]
        connection.resolver = self._resolver
        return connection

    def _put_conn(self, conn: Any) -> None:
        """urllib3's hook for a connection that becomes idle; None means a closed one."""
        super()._put_conn(conn)  # type: ignore[misc]
        if conn is not None:
            self._idle.closer.watch()


class _PlainPool(_WatchedPool, HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TLSPool(_WatchedPool, HTTPSConnectionPool):
    ConnectionCls = TLSConnection


class PooledAdapter(HTTPAdapter):
    """Sends one prepared request and nothing else: no cookies, no redirects, nothing from the environment.

    A `requests.Session` would keep cookies for the next credentials, and would follow redirects. Blocks are large, the
    TLS context is shared, and urllib3 does not retry, because it would replay a streamed body.
    """

    def __init__(self, ca_bundle: Path | None, pool: int) -> None:
        self._context = tls_context(ca_bundle)
        self._idle = IdlePools(_IDLE_CHECK_SECONDS)
        resolver = Resolver()
        self._pools: dict[str, Any] = {
            scheme: functools.partial(pool_class, idle=self._idle, resolver=resolver)
            for scheme, pool_class in (("http", _PlainPool), ("https", _TLSPool))
        }
        super().__init__(max_retries=0, pool_maxsize=pool, pool_connections=16)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, blocksize=BLOCK_BYTES, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(
            proxy, blocksize=BLOCK_BYTES, ssl_context=self._context, **options
        )
        manager.pool_classes_by_scheme = self._pools
        return manager

    def close(self) -> None:
        """Closes all idle connections."""
        self._idle.closer.stop()
        super().close()

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Does nothing more: the certificates are in the context already."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None


def proxies_for(url: str, proxy: str | None) -> Mapping[str, str]:
    """The proxies for a URL: the setting's, else those of the environment. NO_PROXY applies to both.

    A loopback address never goes to a proxy, where it would mean the proxy's own host.
    """
    if urlsplit(url).hostname in LOOPBACK:
        return {}
    if proxy is None:
        environment: Mapping[str, str] = requests.utils.get_environ_proxies(url, no_proxy=None)
        return environment
    if requests.utils.should_bypass_proxies(url, no_proxy=None):
        return {}
    return {"http": proxy, "https": proxy}
