"""A core that is only a socket: for answers that no web server would give."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[[socket.socket, bytes], None]
"""Given the connection and the request as far as its headers' end."""


def head(connection: socket.socket) -> bytes:
    """What came up to the end of a request's headers, or up to the connection's end."""
    read = b""
    while b"\r\n\r\n" not in read:
        if not (block := connection.recv(65536)):
            break
        read += block
    return read


def says(answer: bytes) -> Behaviour:
    """Those bytes, and the end."""
    return lambda connection, _: connection.sendall(answer)


@contextlib.contextmanager
def raw_core(*behaviours: Behaviour) -> Iterator[str]:
    """The URL of a core whose connections behave as told, one after the other; the last one stays."""
    left = list(behaviours)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection: socket.socket, behave: Behaviour) -> None:
            with connection, contextlib.suppress(OSError):
                if request := head(connection):
                    behave(connection, request)

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                behave = left.pop(0) if len(left) > 1 else left[0]
                threading.Thread(target=serve, args=(connection, behave), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
