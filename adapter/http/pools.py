"""The pools of connections to SWR: shared by all threads, and emptied of what nobody uses any more.

requests would load the CA bundle again for each new connection, keep cookies, and follow redirects; urllib3 looks at an
idle connection only when the next request comes by.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

from adapter.http.connections import BLOCK, Plain, Secured, tls_context
from adapter.http.idle import IdleCloser
from adapter.http.resolver import Resolver
from adapter.settings import LOOPBACK

_CHECKED = 5.0
"""Seconds between two looks for idle connections that SWR has ended, or that may not be used again."""


class IdlePools:
    """The idle connections in urllib3's pools. Those that may not be used again are closed."""

    def __init__(self, seconds: float) -> None:
        self._pools: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()
        self.closer = IdleCloser(self.close_idle, seconds)

    def add(self, pool: Any) -> None:
        """A new pool."""
        with self._lock:
            self._pools.add(pool)

    def close_idle(self) -> bool:
        """Closes those that the other side has ended, or that were idle for too long; whether any is left."""
        with self._lock:
            pools = list(self._pools)
        # Each of them, also behind one that has some left.
        left = [_close_idle(pool.pool) for pool in pools if pool.pool is not None]
        return any(left)


def _close_idle(waiting: Any) -> bool:
    """One pool's queue; each connection that goes leaves its place, None, as urllib3 has it."""
    with waiting.mutex:
        idle = [each for each in waiting.queue if each is not None]
        dead = [each for each in idle if not each.is_connected]
        waiting.queue[:] = [None if each in dead else each for each in waiting.queue]
    for each in dead:
        each.close()
    return len(dead) < len(idle)


class _Pooled:
    """Mixed into urllib3's two pools: tells of the connections that become idle."""

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
        """urllib3's hook for a connection that is not needed any more, None for one that is gone."""
        super()._put_conn(conn)  # type: ignore[misc]
        if conn is not None:
            self._idle.closer.watch()


class _PlainPool(_Pooled, HTTPConnectionPool):
    ConnectionCls = Plain


class _TLSPool(_Pooled, HTTPSConnectionPool):
    ConnectionCls = Secured


class Adapter(HTTPAdapter):
    """Sends one prepared request and nothing else: no cookies, no redirects, nothing from the environment.

    A `requests.Session` would keep cookies for the next account, and read and parse redirects that are not for it.
    Large blocks, one TLS context, no retries of urllib3's own: they would replay a streamed body.
    """

    def __init__(self, ca_bundle: Path | None, pool: int) -> None:
        self._context = tls_context(ca_bundle)
        self._idle = IdlePools(_CHECKED)
        resolver = Resolver()
        self._pools: dict[str, Any] = {
            scheme: functools.partial(pool_class, idle=self._idle, resolver=resolver)
            for scheme, pool_class in (("http", _PlainPool), ("https", _TLSPool))
        }
        super().__init__(max_retries=0, pool_maxsize=pool, pool_connections=16)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, blocksize=BLOCK, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, blocksize=BLOCK, ssl_context=self._context, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def close(self) -> None:
        """Ends all connections that are idle."""
        self._idle.closer.stop()
        super().close()

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """The certificates are in the context already."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None


def proxies_for(url: str, proxy: str | None) -> Mapping[str, str]:
    """The proxies for a URL: the setting's, else those of the environment; NO_PROXY is honoured for both.

    Loopback is never asked of a proxy, which would look for it at home.
    """
    if urlsplit(url).hostname in LOOPBACK:
        return {}
    if proxy is None:
        found: Mapping[str, str] = requests.utils.get_environ_proxies(url, no_proxy=None)
        return found
    if requests.utils.should_bypass_proxies(url, no_proxy=None):
        return {}
    return {"http": proxy, "https": proxy}
