"""A core that is only a socket, for responses that no web server sends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Behavior = Callable[[socket.socket, bytes], None]
"""Called with the connection and the request up to the end of its headers."""


def head(connection: socket.socket) -> bytes:
    """The bytes up to the end of the headers, or of the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (block := connection.recv(65536)):
            break
        received += block
    return received


def sends(response: bytes) -> Behavior:
    """Sends these bytes, and closes the connection."""
    return lambda connection, _: connection.sendall(response)


@contextlib.contextmanager
def raw_core(*behaviors: Behavior) -> Iterator[str]:
    """The URL of a core with one behavior for each connection. The last one applies to all further connections."""
    remaining = list(behaviors)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection: socket.socket, behave: Behavior) -> None:
            with connection, contextlib.suppress(OSError):
                if request := head(connection):
                    behave(connection, request)

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                behave = remaining.pop(0) if len(remaining) > 1 else remaining[0]
                threading.Thread(target=serve, args=(connection, behave), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
