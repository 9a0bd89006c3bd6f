"""TLS in front of a server that has none: what it decrypts goes on, and an end on one side is one on the other."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator

BLOCK = 1 << 16


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
    # TLS knows no half-closed connection.
    writer.close()


@contextlib.contextmanager
def tls_in_front_of(
    target: tuple[str, int], context: ssl.SSLContext, host: str = "127.0.0.1"
) -> Iterator[tuple[str, int]]:
    """The address of a TLS server whose connections lead to the target."""
    loop = asyncio.new_event_loop()
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        far_reader, far_writer = await asyncio.open_connection(*target)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        connections.discard(task)

    async def end() -> None:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    server = loop.run_until_complete(asyncio.start_server(connected, host, 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        host, port = server.sockets[0].getsockname()
        yield host, port
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
