"""What SWR is sent: all blocks, but the last one only when everything is known to be right.

Until then SWR cannot complete the upload, whatever it checks itself: a body that is short, too long or damaged ends
in a cut connection. It costs no extra request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from adapter.errors import DigestInvalid
from adapter.names import algorithm_of


class HeldBack:
    """An iterable for `requests`, of unknown length. `complete` says whether all of it was handed over."""

    def __init__(self, blocks: Iterable[bytes], digest: str | None) -> None:
        self._blocks: Iterable[bytes] | None = blocks
        self._digest = digest
        self.complete = False

    def __iter__(self) -> Iterator[bytes]:
        if self._blocks is None:
            raise RuntimeError("a streamed body is never sent twice")
        blocks, self._blocks = self._blocks, None
        checksum = hashlib.new(algorithm_of(self._digest)) if self._digest else None
        held = b""
        for block in blocks:
            if checksum is not None:
                checksum.update(block)
            if held:
                yield held
            held = block
        if checksum is not None and self._digest is not None:
            self._compare(f"{checksum.name}:{checksum.hexdigest()}")
        if held:
            yield held
        # Whoever sends comes back for more only after the last block went out whole.
        self.complete = True

    def _compare(self, actual: str) -> None:
        if actual != self._digest:
            raise DigestInvalid(
                f"the content hashes to {actual}, not to {self._digest}: it is damaged; nothing was stored"
            )


class SizedHeldBack(HeldBack):
    """The same with a length, which becomes the Content-Length towards SWR."""

    def __init__(self, blocks: Iterable[bytes], digest: str | None, length: int) -> None:
        super().__init__(blocks, digest)
        self._length = length

    def __len__(self) -> int:
        return self._length
