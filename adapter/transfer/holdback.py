"""What SWR is sent: all blocks, but the last one only when everything is known to be right.

Until then SWR cannot complete the upload, whatever it checks itself: a body that is short, too long or damaged ends
in a cut connection. It costs no extra request.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterable, Iterator

from adapter.references import algorithm_of, digest_of
from adapter.transfer.body import BUFFERS
from adapter.transfer.checksum import Block, Checksum, compare


class HeldBack:
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


class SizedHeldBack(HeldBack):
    """The same with a length, which becomes the Content-Length towards SWR."""

    def __init__(
        self, blocks: Iterable[Block], digest: str | None, length: int, spare: threading.Semaphore | None = None
    ) -> None:
        super().__init__(blocks, digest, spare)
        self._length = length

    def __len__(self) -> int:
        return self._length
