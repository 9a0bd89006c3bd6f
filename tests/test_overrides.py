"""The inner names of gunicorn and urllib3 that the adapter overrides or reads. A release without one of them would
ignore our code silently; the upper bounds in `pyproject.toml` and this test keep that from happening."""

from __future__ import annotations

import inspect
import re

import pytest
from gunicorn.app.base import BaseApplication
from gunicorn.config import KNOWN_SETTINGS
from gunicorn.glogging import Logger
from gunicorn.http.message import Request
from gunicorn.http.parser import Parser
from gunicorn.http.unreader import SocketUnreader, Unreader
from gunicorn.http.wsgi import Response, create
from gunicorn.workers.gthread import TConn, ThreadWorker
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager

METHODS = {
    ThreadWorker: "accept check_config finish_request get_thread_pool handle handle_error handle_exit handle_quit "
    "handle_request init_process load_wsgi murder_keepalived notify on_client_socket_readable "
    "on_pending_socket_readable run set_accept_enabled",
    TConn: "close init",
    Unreader: "read take_buffered unread",
    SocketUnreader: "chunk",
    Request: "_policy_expect_continue force_close parse set_body_reader",
    Parser: "mesg_class",
    Logger: "access exception setup",
    BaseApplication: "load load_config",
    HTTPConnection: "_new_conn connect endheaders getresponse is_connected send",
    HTTPConnectionPool: "ConnectionCls _new_conn _put_conn",
}
ATTRIBUTES = {
    ThreadWorker: "alive cfg keepalived_conns log max_keepalived method_queue nr_conns pending_conns poller sockets "
    "worker_connections wsgi",
    TConn: "cfg client initialized parser server sock timeout",
    Request: "headers unreader version",
    Parser: "unreader",
    SocketUnreader: "sock",
    Response: "headers_sent",
    Logger: "error_log",
    HTTPConnection: "_dns_host proxy socket_options",
    HTTPConnectionPool: "pool",
    PoolManager: "pool_classes_by_scheme",
}
SETTINGS = (
    "control_socket_disable forwarded_allow_ips forwarder_headers graceful_timeout keepalive limit_request_field_size "
    "limit_request_fields limit_request_line logger_class post_request ssl_context threads worker_class worker_tmp_dir"
)


@pytest.mark.parametrize("kind", METHODS)
def test_overridden_methods_exist(kind: type) -> None:
    assert [name for name in METHODS[kind].split() if not hasattr(kind, name)] == []


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_attributes_are_set_by_the_library(kind: type) -> None:
    bases = [base for base in kind.__mro__ if base is not object]
    source = "".join(inspect.getsource(base) for base in bases)
    missing = [name for name in ATTRIBUTES[kind].split() if not re.search(rf"self\.{name}\b[^=\n]*= ", source)]
    assert missing == []


def test_gunicorn_settings_and_socket_in_environment_exist() -> None:
    assert set(SETTINGS.split()) <= {setting.name for setting in KNOWN_SETTINGS}
    assert '"gunicorn.socket": sock' in inspect.getsource(create.__globals__["default_environ"])
