"""A name server, and a port to which no connection is possible."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def dns(addresses: Mapping[str, str]) -> Iterator[int]:
    """The port of a name server. It returns A records of `addresses`, and NXDOMAIN for other names."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve_names, args=(sock, addresses))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            sock.sendto(b"", sock.getsockname())
            thread.join()


def _serve_names(sock: socket.socket, addresses: Mapping[str, str]) -> None:
    while True:
        query, client = sock.recvfrom(512)
        if not query:
            return
        sock.sendto(_resolve(query, addresses), client)


def _resolve(query: bytes, addresses: Mapping[str, str]) -> bytes:
    """The response to a query with one question (RFC 1035 section 4.1)."""
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1 : position + 1 + length].decode())
        position += 1 + length
    question = query[12 : position + 5]
    address = addresses.get(".".join(labels))
    is_a = question[-4:-2] == b"\0\1"
    record = b""
    if address is not None and is_a:
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address)
    flags = 0x8180 if address is not None else 0x8183
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if record else 0, 0, 0) + question + record


@contextlib.contextmanager
def full() -> Iterator[int]:
    """The port of a listener with a full queue: it neither accepts nor rejects a connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address: Any = listener.getsockname()
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(address)
            except TimeoutError:
                break
        yield address[1]
