"""The server: gunicorn with one listener per door, started from here and not from a command line of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from adapter import settings as settings_module
from adapter.contract import create_contract_app
from adapter.operations import create_operations_app
from adapter.operations.logs import RequestLog, StartResponse, WsgiApp, configure
from adapter.settings import Settings
from adapter.swr.client import SwrClient

log = logging.getLogger(__name__)

KEEP_ALIVE = 120
"""Seconds. Harbor keeps idle connections for 90 and cannot send a blob again when one closes under it."""


class _Here(threading.local):
    """What ends the connection of this thread after its answer: only gunicorn's own request can."""

    @staticmethod
    def force_close() -> None:
        """Nothing to close before the first request."""


_here: Final = _Here()


def _remember_request(_: Any, request: Any) -> None:
    _here.force_close = request.force_close  # type: ignore[method-assign]


class Doors:
    """Picks the application by the port that the connection came in on: no header can lead to another door."""

    def __init__(self, by_port: Mapping[int, WsgiApp]) -> None:
        self._by_port = by_port

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["adapter.force_close"] = _here.force_close
        return self._by_port[int(environ["SERVER_PORT"])](environ, start_response)


def create_doors(settings: Settings) -> Doors:
    """All applications, with everything that they share."""
    swr = SwrClient.build(settings)
    contract, operations = create_contract_app(settings, swr), create_operations_app(swr)
    return Doors(
        {
            settings.contract_bind.port: RequestLog(contract, "contract"),
            settings.operations_bind.port: RequestLog(operations, "operations"),
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


class Server(BaseApplication):
    """gunicorn, configured by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """One worker: what only saves work is kept in memory, and threads share it."""
        settings = self._settings
        options = {
            "bind": [str(settings.contract_bind), str(settings.operations_bind)],
            "worker_class": "gthread",
            "workers": 1,
            "threads": settings.threads,
            # Shared by the doors: silent clients of one must not keep another from being heard.
            "worker_connections": 4096,
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": round(settings.grace_period),
            # A location carries SWR's own, which has state in it.
            "limit_request_line": 8190,
            # No header of a client may say where a request came from or what its path is.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "pre_request": _remember_request,
            "logger_class": ServerLog,
            "control_socket_disable": True,
            "proc_name": "harbor-swr-adapter",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

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
