"""The body that is sent to SWR: its last block is sent only after the whole body was verified.

Until then SWR cannot complete the upload, whatever SWR itself verifies: a body that is short, too long or damaged ends
in a closed connection. This takes no extra request.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue

from adapter.errors import DigestInvalid
from adapter.references import algorithm_of, check_digest, digest_of
from adapter.transfer.request_body import BUFFERS

Block = bytes | memoryview


class VerifiedBody:
    """An iterable for `requests`, of unknown length. `complete`: whether all of it was sent.

    Two of the blocks must be valid at a time, `BUFFERS` of them if a digest is verified. `hash_threads` is that of
    `Checksum`.
    """

    def __init__(
        self, blocks: Iterable[Block], digest: str | None, hash_threads: threading.Semaphore | None = None
    ) -> None:
        self._blocks: Iterable[Block] | None = blocks
        self._digest = digest
        self._hash_threads = hash_threads
        self._sending: Generator[Block, None, None] | None = None
        self.complete = False

    def __iter__(self) -> Iterator[Block]:
        if self._blocks is None:
            raise RuntimeError("a streamed body cannot be sent twice")
        blocks, self._blocks = self._blocks, None
        self._sending = self._send(blocks)
        return self._sending

    def close(self) -> None:
        """Ends hashing. Safe to call at any time but while a block is taken."""
        if self._sending is not None:
            self._sending.close()

    def _send(self, blocks: Iterable[Block]) -> Generator[Block, None, None]:
        last: Block | None = None
        verified = (
            contextlib.nullcontext(blocks)
            if self._digest is None
            else verified_blocks(blocks, self._digest, self._hash_threads)
        )
        with verified as each:
            for block in each:
                if last is not None:
                    yield last
                last = block
            if last is not None:
                yield last
        # The sender takes the next block only after it has sent the last one completely.
        self.complete = True


class SizedVerifiedBody(VerifiedBody):
    """A `VerifiedBody` of known length, which is sent as Content-Length."""

    def __init__(
        self,
        blocks: Iterable[Block],
        digest: str | None,
        length: int,
        hash_threads: threading.Semaphore | None = None,
    ) -> None:
        super().__init__(blocks, digest, hash_threads)
        self._length = length

    def __len__(self) -> int:
        return self._length


@contextlib.contextmanager
def verified_blocks(
    blocks: Iterable[Block], digest: str, hash_threads: threading.Semaphore | None = None
) -> Iterator[Iterator[Block]]:
    """The blocks, unchanged; raises `DigestInvalid` at their end if they do not match the digest."""
    checksum = Checksum(digest, BUFFERS, hash_threads)

    def each() -> Iterator[Block]:
        blocks_in_order = iter(blocks)
        while True:
            checksum.wait_for_buffer()
            if (block := next(blocks_in_order, None)) is None:
                break
            checksum.add(block)
            yield block
        compare(checksum.digest(), digest)

    try:
        yield each()
    finally:
        checksum.close()


def read_verified(blocks: Iterable[Block], digest: str | None) -> bytes:
    """A small body in one piece. Raises `DigestInvalid` if it does not match the digest."""
    data = bytearray()
    for block in blocks:
        data += block
    if digest is not None:
        compare(digest_of(bytes(data), algorithm_of(digest)), digest)
    return bytes(data)


def compare(actual: str, announced: str) -> None:
    """Raises `DigestInvalid` if the digests differ."""
    if actual != announced:
        raise DigestInvalid(
            f"the content is damaged (expected {announced}, got {actual}), nothing was stored: send it again"
        )


def check_supported(digest: str) -> str:
    """The digest of content that is to be stored. Raises `DigestInvalid` for a malformed digest and for sha512.

    It is not known whether SWR stores content under a sha512 digest (`docs/facts/swr.md §6`), so nothing is sent.
    """
    if algorithm_of(check_digest(digest)) != "sha256":
        raise DigestInvalid("sha512 digests are not supported for pushing to SWR: push with sha256 digests")
    return digest


def max_hash_threads() -> int:
    """How many transfers may use a second thread at a time: each of them occupies two cores."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


class Checksum:
    """Hashes blocks in order, in a thread of its own; `buffers` is how many blocks are valid at a time.

    Call `wait_for_buffer` and `add` for each block, then `digest`. `close` ends the thread in any case. `hash_threads`
    counts the threads that may still be started: if it is exhausted, each block is hashed at once by the caller. None:
    no limit.
    """

    def __init__(self, digest: str, buffers: int, hash_threads: threading.Semaphore | None = None) -> None:
        self._hash = hashlib.new(algorithm_of(digest))
        self._blocks: SimpleQueue[Block | None] = SimpleQueue()
        self._free_buffers = threading.Semaphore(buffers - 1)
        self._hash_threads = hash_threads
        self._thread: threading.Thread | None = None
        if hash_threads is None or hash_threads.acquire(blocking=False):
            thread = threading.Thread(target=self._run, name="checksum", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads can be started
                self._release_thread()
            else:
                self._thread = thread

    def wait_for_buffer(self) -> None:
        """Waits until one more buffer may be filled: the block that was in it has been hashed."""
        if self._thread is not None:
            self._free_buffers.acquire()

    def add(self, block: Block) -> None:
        """The block must not change until `buffers - 1` more calls of `wait_for_buffer` have returned."""
        if self._thread is None:
            self._hash.update(block)
        else:
            self._blocks.put(block)

    def digest(self) -> str:
        """`sha256:<hex>` of all blocks."""
        self.close()
        return f"{self._hash.name}:{self._hash.hexdigest()}"

    def close(self) -> None:
        """Ends the thread. Safe to call twice."""
        if self._thread is None:
            return
        self._blocks.put(None)
        self._thread.join()
        self._release_thread()

    def _release_thread(self) -> None:
        hash_threads, self._hash_threads = self._hash_threads, None
        if hash_threads is not None:
            hash_threads.release()

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._hash.update(block)
            self._free_buffers.release()
