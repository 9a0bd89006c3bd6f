"""Runs the sandbox: three origins in one gunicorn; the port of the listener selects the origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from adapter.sandbox.context import Context
from adapter.sandbox.control_app import create_api_app
from adapter.sandbox.middleware import Middleware, WsgiApp
from adapter.sandbox.objects_app import create_objects_app
from adapter.sandbox.options import SandboxOptions
from adapter.sandbox.registry_app import create_registry_app

THREADS = 32
GRACEFUL_TIMEOUT_SECONDS = 1


class Worker(ThreadWorker):
    """A worker that closes idle connections at once when it stops."""

    def handle_exit(self, sig: int, frame: object) -> None:
        super().handle_exit(sig, frame)
        self.method_queue.defer(self.murder_keepalived, True)


class Server(BaseApplication):
    """gunicorn, configured in code. One worker, because journal, knobs and rate are in its memory."""

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
            "graceful_timeout": GRACEFUL_TIMEOUT_SECONDS,
            "control_socket_disable": True,
            "loglevel": "error",
            "proc_name": "swr-sandbox",
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        return self._create()


def create_app(options: SandboxOptions) -> WsgiApp:
    """All three origins as one WSGI application; the port of the listener selects the origin."""
    context = Context.create(options)
    apps: dict[str, WsgiApp] = {
        str(options.registry_bind.port): Middleware("registry", create_registry_app(context), context),
        str(options.api_bind.port): Middleware("api", create_api_app(context), context),
        str(options.objects_bind.port): Middleware("objects", create_objects_app(context), context),
    }

    def dispatch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return apps[environ["SERVER_PORT"]](environ, start_response)

    return dispatch


def serve(options: SandboxOptions) -> None:
    """Serves until SIGTERM or SIGINT, then ends the process with status 0. Does not return."""
    Server(options, lambda: create_app(options)).run()
