"""The server: gunicorn with one listener per door, started from here and not from a command line of its own."""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from adapter import settings as settings_module
from adapter.certificate import Certificate
from adapter.contract import create_contract_app
from adapter.documents import DocumentMemory
from adapter.operations import create_operations_app
from adapter.operations.logs import RequestLog, StartResponse, WsgiApp, configure
from adapter.provider import create_provider_app, threads
from adapter.settings import SPARE_THREADS, Settings
from adapter.swr.client import SwrClient
from adapter.worker import Door, here, worker_class

log = logging.getLogger(__name__)

KEEP_ALIVE = 120
"""Seconds. Harbor keeps idle connections for 90 and cannot send a blob again when one closes under it."""
MOST_CONNECTIONS = 4096
PROVIDER_THREADS = threads.THREADS
OPERATIONS_THREADS = 4


class Doors:
    """Picks the application by the port that the connection came in on: no header can lead to another door."""

    def __init__(self, by_port: Mapping[int, WsgiApp]) -> None:
        self._by_port = by_port

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["adapter.force_close"] = here.force_close
        return self._by_port[int(environ["SERVER_PORT"])](environ, start_response)


def create_doors(settings: Settings) -> Doors:
    """All applications, with everything that they share."""
    swr = SwrClient.build(settings)
    memory = DocumentMemory()
    contract = memory.charged(create_contract_app(settings, swr))
    provider = memory.charged(create_provider_app(settings, swr))
    return Doors(
        {
            settings.contract_bind.port: RequestLog(contract, "contract"),
            settings.provider_bind.port: RequestLog(provider, "provider"),
            settings.operations_bind.port: RequestLog(create_operations_app(swr), "operations"),
        }
    )


class ServerLog(Logger):
    """gunicorn's lines go where all others go; its access log is replaced by one line a request."""

    def setup(self, _: Any) -> None:
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)

    def access(self, *_: Any) -> None:
        return

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """A socket that fails, or stalls, is a client's doing: one line, and no stack trace."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.error_log.info("%s (%s)", msg % args if args else msg, type(error).__name__)
        else:
            super().exception(msg, *args, **kwargs)


def connections(doors: Iterable[Door]) -> int:
    """How many clients may be connected: as many as there are file descriptors for, besides those that work takes.

    Raises this process's soft limit to the hard one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Each thread may have a connection to SWR beside its client's.
    taken = 64 + sum(door.threads for door in doors)
    free = MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else hard - taken
    return max(64, min(MOST_CONNECTIONS, free))


class Server(BaseApplication):
    """gunicorn, configured by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._certificate = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            self._certificate = Certificate(settings.tls_certificate, settings.tls_key)
        super().__init__()

    def load_config(self) -> None:
        """One worker: what only saves work is kept in memory, and threads share it."""
        settings, doors = self._settings, self._doors()
        options = {
            "bind": [str(settings.contract_bind), str(settings.provider_bind), str(settings.operations_bind)],
            "worker_class": worker_class(doors, settings.client_idle_timeout),
            "workers": 1,
            "threads": sum(door.threads for door in doors.values()),
            # Shared by the doors: silent clients of one must not keep another from being heard.
            "worker_connections": connections(doors.values()),
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": round(settings.grace_period),
            # A location carries SWR's own, which has state in it.
            "limit_request_line": 8190,
            # No header of a client may say where a request came from or what its path is.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "logger_class": ServerLog,
            "control_socket_disable": True,
            "proc_name": "harbor-swr-adapter",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def _doors(self) -> Mapping[int, Door]:
        """By port: no door can take another's threads, and what watches the process hears from it to its end."""
        settings = self._settings
        return {
            settings.contract_bind.port: Door(settings.threads + SPARE_THREADS, self._certificate),
            settings.provider_bind.port: Door(PROVIDER_THREADS),
            settings.operations_bind.port: Door(OPERATIONS_THREADS, to_the_end=True),
        }

    def load(self) -> Doors:
        """In the worker, so that no lock or connection crosses a fork."""
        return create_doors(self._settings)


def serve(settings: Settings) -> None:
    """Runs until SIGTERM. Running transfers then get `grace_period` seconds."""
    configure(settings.log_format, settings.log_level)
    for row in settings_module.table():
        if row.later and getattr(settings, row.field) != row.default:
            log.warning("%s is set, but has no effect in this version", row.variable)
    Server(settings).run()
