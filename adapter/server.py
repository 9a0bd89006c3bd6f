"""The server: gunicorn with one listener per door, started from here and not from a command line of its own."""

from __future__ import annotations

import contextlib
import logging
import resource
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from adapter import settings as settings_module
from adapter.certificate import Certificate
from adapter.contract import create_contract_app
from adapter.contract.responses import harbor_body, oci_body
from adapter.documents import DocumentMemory
from adapter.errors import AdapterError
from adapter.heads import MAX_HEADER_BYTES, MAX_HEADERS
from adapter.listeners import Limits, ListenerConfig
from adapter.operations import create_operations_app
from adapter.operations.logs import RequestLog, StartResponse, WsgiApp, configure
from adapter.provider import create_provider_app, threads
from adapter.settings import SPARE_THREADS, Settings, SettingsError
from adapter.swr.client import SwrClient
from adapter.worker import here, worker_class

log = logging.getLogger(__name__)

KEEP_ALIVE = 120
"""Seconds. Harbor keeps idle connections for 90 and cannot send a blob again when one closes under it."""
MAX_CONTRACT_LINE_BYTES = 64 << 10
"""Harbor names all projects of a page in one query; some 300 need more than 8 KiB (`docs/facts/harbor.md D.4`)."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - files are made there by `tempfile`
PROVIDER_THREADS = threads.THREADS
OPERATIONS_THREADS = 4


class Dispatcher:
    """Picks the application by the port that the connection came in on: no header can lead to another door."""

    def __init__(self, by_port: Mapping[int, WsgiApp]) -> None:
        self._by_port = by_port

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["adapter.force_close"] = here.force_close
        if here.connection is not None:
            environ["adapter.begin_answer"] = here.connection.sock.begin_answer
        here.environ = environ
        return self._by_port[int(environ["SERVER_PORT"])](environ, start_response)


def create_dispatcher(settings: Settings) -> Dispatcher:
    """All applications, with everything that they share."""
    swr = SwrClient.build(settings)
    memory = DocumentMemory()
    contract = memory.charged(create_contract_app(settings, swr))
    provider = memory.charged(create_provider_app(settings, swr))
    return Dispatcher(
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


def files() -> int:
    """How many file descriptors this process may have. Raises its soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def temporary_directory(first: str = SHARED_MEMORY) -> str:
    """Where gunicorn's worker tells its master by a file that it is alive: memory if there is some, since a disk can
    stall. Raises `SettingsError`."""
    for directory in (first, None):
        # Without a directory, `tempfile` looks for one.
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=directory):
            return directory or tempfile.gettempdir()
    raise SettingsError(
        "no directory for temporary files is writable: mount a tmpfs at /dev/shm or /tmp, or set TMPDIR"
    )


def contract_refusal(error: AdapterError, path: str, request_id: str) -> bytes:
    """The body of what the server itself refuses: OCI's envelope on `/v2`, Harbor's elsewhere."""
    on_v2 = path == "/v2" or path.startswith("/v2/")
    return oci_body(error, request_id) if on_v2 else harbor_body(error, request_id)


def harbor_refusal(error: AdapterError, _path: str, request_id: str) -> bytes:
    """The same where there is nothing but Harbor's envelope."""
    return harbor_body(error, request_id)


class Server(BaseApplication):
    """gunicorn, configured by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # gunicorn would end the process for any error of `load_config`, with a status of its own.
        self._temporary = temporary_directory()
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
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": round(settings.grace_period),
            # Each listener has a limit of its own (`adapter.heads`).
            "limit_request_line": 0,
            "limit_request_fields": MAX_HEADERS,
            "limit_request_field_size": MAX_HEADER_BYTES,
            # No header of a client may say where a request came from or what its path is.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "logger_class": ServerLog,
            "worker_tmp_dir": self._temporary,
            "control_socket_disable": True,
            "proc_name": "harbor-swr-adapter",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def _doors(self) -> Mapping[int, ListenerConfig]:
        """By port: no door can take another's threads, and what watches the process hears from it to its end."""
        settings, threads = self._settings, self._settings.threads + SPARE_THREADS
        limits = Limits.of(files(), threads, PROVIDER_THREADS)
        contract = ListenerConfig(
            threads,
            self._certificate,
            name="contract",
            connections=limits.contract,
            max_line=MAX_CONTRACT_LINE_BYTES,
            refuse=contract_refusal,
        )
        provider = ListenerConfig(PROVIDER_THREADS, name="provider", connections=limits.provider, refuse=harbor_refusal)
        operations = ListenerConfig(
            OPERATIONS_THREADS,
            to_the_end=True,
            name="operations",
            connections=limits.operations,
            reserved=True,
            refuse=harbor_refusal,
        )
        return {
            settings.contract_bind.port: contract,
            settings.provider_bind.port: provider,
            settings.operations_bind.port: operations,
        }

    def load(self) -> Dispatcher:
        """In the worker, so that no lock or connection crosses a fork."""
        return create_dispatcher(self._settings)


def serve(settings: Settings) -> None:
    """Runs until SIGTERM. Running transfers then get `grace_period` seconds. Raises `SettingsError`."""
    configure(settings.log_format, settings.log_level)
    for row in settings_module.table():
        if row.later and getattr(settings, row.field) != row.default:
            log.warning("%s is set, but has no effect in this version", row.variable)
    Server(settings).run()
