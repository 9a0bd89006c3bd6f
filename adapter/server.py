"""The server: gunicorn with three listeners, configured by the settings and not by a command line of its own."""

from __future__ import annotations

import contextlib
import logging
import resource
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from adapter.contract import create_contract_app
from adapter.contract.error_bodies import harbor_body, oci_body
from adapter.documents import DocumentMemory
from adapter.errors import AdapterError
from adapter.listeners import Limits, ListenerConfig
from adapter.operations import create_operations_app
from adapter.operations.logs import RequestLog, StartResponse, WsgiApp, configure
from adapter.provider import create_provider_app, threads
from adapter.request_heads import MAX_HEADER_BYTES, MAX_HEADERS
from adapter.server_certificate import Certificate
from adapter.settings import SPARE_THREADS, Settings, SettingsError, table
from adapter.swr.client import SwrClient
from adapter.worker import worker_class

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 120
"""Harbor keeps idle connections for 90 seconds, and cannot repeat the upload of a blob when a connection closes."""
MAX_CONTRACT_LINE_BYTES: Final = 64 << 10
"""Harbor lists all projects of a page in one query; some 300 need more than 8 KiB (`docs/facts/harbor.md D.4`)."""
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - `tempfile` makes the files in it
PROVIDER_THREADS: Final = threads.THREADS
OPERATIONS_THREADS: Final = 4


class Dispatcher:
    """Selects the application by the port of the connection, so that no header can select another one."""

    def __init__(self, by_port: Mapping[int, WsgiApp]) -> None:
        self._by_port = by_port

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        return self._by_port[int(environ["SERVER_PORT"])](environ, start_response)


def create_dispatcher(settings: Settings) -> Dispatcher:
    """All applications, with what they share."""
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
    """Sends gunicorn's log lines to the adapter's log; `RequestLog` replaces its access log."""

    def setup(self, _: Any) -> None:
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)

    def access(self, *_: Any) -> None:
        return

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """A socket error is caused by a client: it is logged in one line, without a stack trace."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.error_log.info("%s (%s)", msg % args if args else msg, type(error).__name__)
        else:
            super().exception(msg, *args, **kwargs)


def max_files() -> int:
    """Raises the soft limit of file descriptors of this process to the hard limit, and returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def temporary_directory(preferred: str = SHARED_MEMORY) -> str:
    """The directory of the file by which gunicorn's worker reports to the master that the worker is alive: in memory if
    possible, because a disk can stall. Raises `SettingsError`."""
    for directory in (preferred, None):
        # Without a directory, `tempfile` searches for one.
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=directory):
            return directory or tempfile.gettempdir()
    raise SettingsError(
        "no directory for temporary files is writable: mount a tmpfs at /dev/shm or /tmp, or set TMPDIR"
    )


def contract_error_body(error: AdapterError, path: str, request_id: str) -> bytes:
    """The body of an error of the contract listener: in the format of OCI on `/v2`, in that of Harbor elsewhere."""
    on_v2 = path == "/v2" or path.startswith("/v2/")
    return oci_body(error, request_id) if on_v2 else harbor_body(error, request_id)


def harbor_error_body(error: AdapterError, _path: str, request_id: str) -> bytes:
    """The body of an error of the other listeners, in the format of Harbor."""
    return harbor_body(error, request_id)


class Server(BaseApplication):
    """gunicorn with the configuration of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Not in `load_config`: gunicorn would end the process for any error there, with a status of its own.
        self._temporary = temporary_directory()
        self._certificate = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            self._certificate = Certificate(settings.tls_certificate, settings.tls_key)
        super().__init__()

    def load_config(self) -> None:
        """One worker process: its threads share the caches in memory."""
        settings, listeners = self._settings, self._listener_configs()
        options = {
            "bind": [str(settings.contract_bind), str(settings.provider_bind), str(settings.operations_bind)],
            "worker_class": worker_class(listeners, settings.client_idle_timeout),
            "workers": 1,
            "threads": sum(each.threads for each in listeners.values()),
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": round(settings.grace_period),
            # Each listener has its own limit (`adapter.request_heads`).
            "limit_request_line": 0,
            "limit_request_fields": MAX_HEADERS,
            "limit_request_field_size": MAX_HEADER_BYTES,
            # No header of a client may change the source or the path of a request.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "logger_class": ServerLog,
            "worker_tmp_dir": self._temporary,
            "control_socket_disable": True,
            "proc_name": "harbor-swr-adapter",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def _listener_configs(self) -> Mapping[int, ListenerConfig]:
        """By port. Each listener has its own threads; the operations listener answers probes until the process ends."""
        settings, threads = self._settings, self._settings.threads + SPARE_THREADS
        limits = Limits.of(max_files(), threads, PROVIDER_THREADS)
        contract = ListenerConfig(
            threads,
            self._certificate,
            name="contract",
            connections=limits.contract,
            max_line=MAX_CONTRACT_LINE_BYTES,
            error_body=contract_error_body,
        )
        provider = ListenerConfig(
            PROVIDER_THREADS, name="provider", connections=limits.provider, error_body=harbor_error_body
        )
        operations = ListenerConfig(
            OPERATIONS_THREADS,
            open_until_exit=True,
            name="operations",
            connections=limits.operations,
            reserved=True,
            error_body=harbor_error_body,
        )
        return {
            settings.contract_bind.port: contract,
            settings.provider_bind.port: provider,
            settings.operations_bind.port: operations,
        }

    def load(self) -> Dispatcher:
        """Runs in the worker process, so that no lock or connection crosses a fork."""
        return create_dispatcher(self._settings)


def serve(settings: Settings) -> None:
    """Runs until SIGTERM; then running transfers have `grace_period` seconds to finish. Raises `SettingsError`."""
    configure(settings.log_format, settings.log_level)
    for row in table():
        if row.later and getattr(settings, row.field) != row.default:
            log.warning("%s is set, but has no effect in this version", row.variable)
    Server(settings).run()
