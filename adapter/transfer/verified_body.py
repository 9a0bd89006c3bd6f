"""What SWR is sent: all blocks, but the last one only when everything is known to be right.

Until then SWR cannot complete the upload, whatever it checks itself: a body that is short, too long or damaged ends
in a cut connection. It costs no extra request.
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


class VerifiedBody:
    """An iterable for `requests`, of unknown length. `complete` says whether all of it was handed over.

    Two of the blocks must be valid at a time, `BUFFERS` of them when a digest is to be checked. `spare` is for the
    `Checksum`.
    """

    def __init__(self, blocks: Iterable[Block], digest: str | None, spare: threading.Semaphore | None = None) -> None:
        self._blocks: Iterable[Block] | None = blocks
        self._digest = digest
        self._spare = spare
        self._sending: Generator[Block, None, None] | None = None
        self.complete = False

    def __iter__(self) -> Iterator[Block]:
        if self._blocks is None:
            raise RuntimeError("a streamed body is never sent twice")
        blocks, self._blocks = self._blocks, None
        self._sending = self._held(blocks)
        return self._sending

    def close(self) -> None:
        """Ends what goes on beside the sending, however far that came. Safe to call at any time but while sending."""
        if self._sending is not None:
            self._sending.close()

    def _held(self, blocks: Iterable[Block]) -> Generator[Block, None, None]:
        held: Block | None = None
        right_ones = (
            contextlib.nullcontext(blocks) if self._digest is None else checked(blocks, self._digest, self._spare)
        )
        with right_ones as right:
            for block in right:
                if held is not None:
                    yield held
                held = block
            if held is not None:
                yield held
        # Whoever sends comes back for more only after the last block went out whole.
        self.complete = True


@contextlib.contextmanager
def checked(
    blocks: Iterable[Block], digest: str, spare: threading.Semaphore | None = None
) -> Iterator[Iterator[Block]]:
    """The same blocks; raises `DigestInvalid` in place of their end when they hash to something else."""
    checksum = Checksum(digest, BUFFERS, spare)

    def each() -> Iterator[Block]:
        blocks_in_order = iter(blocks)
        while True:
            checksum.room()
            if (block := next(blocks_in_order, None)) is None:
                break
            checksum.add(block)
            yield block
        compare(checksum.digest(), digest)

    try:
        yield each()
    finally:
        checksum.close()


def collected(blocks: Iterable[Block], digest: str | None) -> bytes:
    """A small body in one piece. Raises `DigestInvalid`."""
    data = bytearray()
    for block in blocks:
        data += block
    if digest is not None:
        compare(digest_of(bytes(data), algorithm_of(digest)), digest)
    return bytes(data)


class SizedVerifiedBody(VerifiedBody):
    """The same with a length, which becomes the Content-Length towards SWR."""

    def __init__(
        self, blocks: Iterable[Block], digest: str | None, length: int, spare: threading.Semaphore | None = None
    ) -> None:
        super().__init__(blocks, digest, spare)
        self._length = length

    def __len__(self) -> int:
        return self._length


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
