"""Runs the sandbox: three origins in one gunicorn, told apart by the listener's port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from adapter.sandbox.context import Context
from adapter.sandbox.control_app import create_api_app
from adapter.sandbox.objects_app import create_objects_app
from adapter.sandbox.observed import Observed, WsgiApp
from adapter.sandbox.options import SandboxOptions
from adapter.sandbox.registry_app import create_registry_app

THREADS = 32
GRACE_SECONDS = 1


class Worker(ThreadWorker):
    """Ends at once: a stand-in owes idle connections nothing."""

    def handle_exit(self, sig: int, frame: object) -> None:
        super().handle_exit(sig, frame)
        self.method_queue.defer(self.murder_keepalived, True)


class Server(BaseApplication):
    """gunicorn, set up in code; one worker, because journal, knobs and rate are in its memory."""

    def __init__(self, options: SandboxOptions, create: Callable[[], WsgiApp]) -> None:
        self._options = options
        self._create = create
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": [str(self._options.registry_bind), str(self._options.api_bind), str(self._options.objects_bind)],
            "worker_class": Worker,
            "workers": 1,
            "threads": THREADS,
            "worker_connections": 4096,
            "keepalive": 120,
            "graceful_timeout": GRACE_SECONDS,
            "control_socket_disable": True,
            "loglevel": "error",
            "proc_name": "swr-sandbox",
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        return self._create()


def create_app(options: SandboxOptions) -> WsgiApp:
    """All three origins as one WSGI application; the listener's port says which one is meant."""
    context = Context.create(options)
    apps: dict[str, WsgiApp] = {
        str(options.registry_bind.port): Observed("registry", create_registry_app(context), context),
        str(options.api_bind.port): Observed("api", create_api_app(context), context),
        str(options.objects_bind.port): Observed("objects", create_objects_app(context), context),
    }

    def dispatch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return apps[environ["SERVER_PORT"]](environ, start_response)

    return dispatch


def serve(options: SandboxOptions) -> None:
    """Serves until SIGTERM or SIGINT. Does not return: it ends the process, with status 0 after a signal."""
    Server(options, lambda: create_app(options)).run()
