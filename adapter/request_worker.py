"""The half of the worker that runs in pool threads: one request, from its head to the end of its response."""

from __future__ import annotations

import contextlib
import ssl
import uuid
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from gunicorn.workers.gthread import ThreadWorker

from adapter import protocol_errors
from adapter.errors import InternalError
from adapter.inbound_connection import Connection, Exchange
from adapter.operations.logs import StartResponse, WsgiApp, log_rejected
from adapter.protocol_errors import INVALID_RESPONSE

LINGER_SECONDS: Final = 5.0
"""How long the input of a client is read and dropped after its last response; no thread waits for it."""
NEEDS_INPUT: Final = object()
"""Result of `handle`: the client has not sent a whole TLS handshake or head."""
NEEDS_ROOM: Final = object()
"""Result of `handle`: the client has not received enough of the responses before."""
_BODY: Final = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING"})


class RequestWorker(ThreadWorker):
    """Serves one request of a connection; `idle_timeout` is in seconds."""

    idle_timeout: ClassVar[float] = 60.0
    wsgi: Any

    def init_process(self) -> None:
        self.cfg.set("post_request", _keep_response)
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = with_connection(self.wsgi)

    def handle(self, conn: Connection) -> Any:
        """Pool thread: one request. True to keep the connection, False to end it, `NEEDS_INPUT`, or `NEEDS_ROOM`."""
        conn.exchange = Exchange()
        keep = self._not_ready(conn)
        if keep is None:
            conn.begin()
            keep = super().handle(conn)
        if keep is False and not conn.resets:
            # Without a body the client sends nothing more that a close could interrupt.
            conn.end(0 if conn.exchange.bodiless else LINGER_SECONDS)
        return keep

    def _not_ready(self, conn: Connection) -> object:
        """`NEEDS_INPUT` or `NEEDS_ROOM` if no request can be read yet, False if TLS failed, else None."""
        if not conn.has_room:
            return NEEDS_ROOM
        try:
            return None if conn.receive_rest() else NEEDS_INPUT
        except ssl.SSLError as error:
            # A client may end the connection during the handshake.
            if error.args[0] != ssl.SSL_ERROR_EOF:
                self.handle_error(None, conn.sock, conn.client, error)
        except OSError:
            pass
        return False

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Pool thread: the head is parsed. From here on each read and write has the idle timeout."""
        req.headers = join_cookies(req.headers)
        exchange = conn.exchange
        exchange.force_close = req.force_close
        exchange.bodiless = not any(name in _BODY and value != "0" for name, value in req.headers)
        conn.sock.settimeout(self.idle_timeout)
        try:
            keep = super().handle_request(req, conn)
        except BaseException:
            # HTTP/1.0 has no chunks: without a length, the end of the connection would be the end of the body.
            conn.resets = req.version < (1, 1) and getattr(exchange.response, "headers_sent", False)
            raise
        # After a response without `100 Continue` it is open whether the body follows.
        return keep and not conn.drop_expectation()

    def handle_error(self, _req: Any, client: Any, _addr: Any, exc: Exception) -> None:
        """Pool thread: sends the error response for a head that cannot be read, or a response that cannot be sent."""
        conn: Connection = client.connection
        conn.drop_expectation()
        method, path = conn.request_line
        config = conn.listener.config
        error = protocol_errors.error_for(exc, config.max_line)
        request_id = conn.exchange.environ.get("adapter.request_id")
        if isinstance(error, InternalError):
            self._log_defect(exc)
        if request_id is None:
            request_id = uuid.uuid4().hex
            status, reason = (0, "TLS failed") if error is None else (error.status, f"{type(error).__name__}: {error}")
            log_rejected(config.name, request_id, method, path, status=status, client=conn.client[0], error=reason)
        if error is not None:
            body = config.error_body(error, path, request_id)
            with contextlib.suppress(OSError):
                client.settimeout(self.idle_timeout)
                client.sendall(protocol_errors.response(error, body, request_id, head=method == "HEAD"))

    def _log_defect(self, exception: Exception) -> None:
        """An invalid header comes from another server, so its value is not logged."""
        if isinstance(exception, INVALID_RESPONSE):
            self.log.error("a response was not sent (invalid header %s)", exception.hdr)
        else:
            self.log.error("a request failed", exc_info=exception)


def join_cookies(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Several Cookie headers as one (RFC 9113 section 8.2.3): gunicorn would join them with a comma."""
    cookies = [value for name, value in headers if name == "COOKIE"]
    if len(cookies) < 2:
        return headers
    return [each for each in headers if each[0] != "COOKIE"] + [("COOKIE", "; ".join(cookies))]


def with_connection(app: WsgiApp) -> WsgiApp:
    """WSGI middleware: passes the application the controls of its connection, and keeps the environment for a later
    error."""

    def call(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        connection: Connection = environ["gunicorn.socket"].connection
        connection.exchange.environ = environ
        environ["adapter.force_close"] = connection.exchange.force_close
        environ["adapter.begin_response"] = connection.sock.begin_response
        return app(environ, start_response)

    return call


def _keep_response(_worker: Any, _request: Any, environ: dict[str, Any], response: Any) -> None:
    """gunicorn's hook at the end of a request."""
    if "gunicorn.socket" in environ:
        environ["gunicorn.socket"].connection.exchange.response = response
