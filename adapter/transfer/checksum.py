"""The digest of content that is under way, taken in a second thread: hashing costs as much as moving the bytes."""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue

from adapter.errors import DigestInvalid
from adapter.names import algorithm_of

Block = bytes | memoryview


def compare(actual: str, announced: str) -> None:
    """Raises `DigestInvalid`."""
    if actual != announced:
        raise DigestInvalid(f"the content hashes to {actual}, not to {announced}: it is damaged; nothing was stored")


class Checksum:
    """Hashes blocks in order, beside whoever moves them; `buffers` is how many blocks are valid at a time.

    `room`, `add`, …, and in the end `digest`; `close` ends the thread in any case.
    """

    def __init__(self, digest: str, buffers: int) -> None:
        self._hash = hashlib.new(algorithm_of(digest))
        self._blocks: SimpleQueue[Block | None] = SimpleQueue()
        self._room = threading.Semaphore(buffers - 1)
        self._thread = threading.Thread(target=self._run, name="checksum", daemon=True)
        self._thread.start()

    def room(self) -> None:
        """Waits until a further block may be filled: the one that lay in its buffer has been hashed."""
        self._room.acquire()

    def add(self, block: Block) -> None:
        """A block must stay as it is until `buffers - 1` further calls of `room`."""
        self._blocks.put(block)

    def digest(self) -> str:
        """`sha256:…` of all blocks."""
        self.close()
        return f"{self._hash.name}:{self._hash.hexdigest()}"

    def close(self) -> None:
        """Safe to call twice."""
        self._blocks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._hash.update(block)
            self._room.release()
