"""The digest of content that is under way: hashing costs as much as moving the bytes.

While there are cores to spare it is taken in a second thread. When there are more transfers than that it is taken in
between, where the bytes are still in the core's cache: a second thread would only move them to another core's.
"""

from __future__ import annotations

import hashlib
import os
import threading
from queue import SimpleQueue

from adapter.errors import DigestInvalid
from adapter.references import algorithm_of, check_digest

Block = bytes | memoryview


def compare(actual: str, announced: str) -> None:
    """Raises `DigestInvalid`."""
    if actual != announced:
        raise DigestInvalid(f"the content hashes to {actual}, not to {announced}: it is damaged; nothing was stored")


def check_supported(digest: str) -> str:
    """The digest of content that is to be stored. Raises `DigestInvalid` for one that is malformed, and for sha512:
    whether SWR stores content under it is not known (`docs/facts/swr.md §6`), so nothing is sent to find out."""
    if algorithm_of(check_digest(digest)) != "sha256":
        raise DigestInvalid("sha512 digests are not supported for pushing to SWR: push with sha256 digests")
    return digest


def spare_cores() -> int:
    """How many transfers may use a second thread at once: each keeps two cores busy."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


class Checksum:
    """Hashes blocks in order, beside whoever moves them; `buffers` is how many blocks are valid at a time.

    `room`, `add`, …, and in the end `digest`; `close` ends the thread in any case. `spare` counts the threads that
    there may be besides: without one left the block is hashed at once. None: there may be any number.
    """

    def __init__(self, digest: str, buffers: int, spare: threading.Semaphore | None = None) -> None:
        self._hash = hashlib.new(algorithm_of(digest))
        self._blocks: SimpleQueue[Block | None] = SimpleQueue()
        self._room = threading.Semaphore(buffers - 1)
        self._spare = spare
        self._thread: threading.Thread | None = None
        if spare is None or spare.acquire(blocking=False):
            thread = threading.Thread(target=self._run, name="checksum", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there can be no more threads
                self._give_back()
            else:
                self._thread = thread

    def room(self) -> None:
        """Waits until a further block may be filled: the one that lay in its buffer has been hashed."""
        if self._thread is not None:
            self._room.acquire()

    def add(self, block: Block) -> None:
        """A block must stay as it is until `buffers - 1` further calls of `room`."""
        if self._thread is None:
            self._hash.update(block)
        else:
            self._blocks.put(block)

    def digest(self) -> str:
        """`sha256:…` of all blocks."""
        self.close()
        return f"{self._hash.name}:{self._hash.hexdigest()}"

    def close(self) -> None:
        """Safe to call twice."""
        if self._thread is None:
            return
        self._blocks.put(None)
        self._thread.join()
        self._give_back()

    def _give_back(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.release()

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._hash.update(block)
            self._room.release()
