"""A JSON array, item by item as it comes: so that a long page is translated without being kept. Pure.

A page of a hundred rules, each with two endpoints and their CA certificates, has no useful upper bound, and there are
sixteen threads that may show one. Only an item has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from adapter.errors import Unexpected

_BLANKS: Final = b" \t\n\r"
_MARK: Final = re.compile(rb'[\[\]{},"]')
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


def listed(blocks: Iterable[bytes], change: Callable[[bytes], bytes], most: int) -> Iterator[bytes]:
    """The blocks of an array with each of its items as `change` makes it; what is no array stays as it is.

    Raises `Unexpected` when an item has more than `most` bytes. Nothing comes before the first item is complete.
    """
    blocks = iter(blocks)
    for block in blocks:
        if not (text := block.lstrip(_BLANKS)):
            yield block
        elif text.startswith(b"["):
            yield from _array(block, blocks, change, most)
        else:
            yield block
            break
    yield from blocks


def _array(block: bytes, blocks: Iterator[bytes], change: Callable[[bytes], bytes], most: int) -> Iterator[bytes]:
    """Up to the array's end, with what came in one block with it."""
    cutter = _Cutter(change)
    while True:
        if done := cutter.cut(block):
            yield done
        if cutter.ended:
            return
        if len(cutter.left) > most:
            raise Unexpected(
                f"an answer of Harbor's core has an entry of more than {most} bytes: that is more than the provider "
                "door looks into"
            )
        if not (block := next(blocks, b"")):
            # Half an array is no document: it stays as it is.
            yield cutter.left
            return


class _Cutter:
    """Finds the ends of items. `left` is what came and was not given out yet."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._at = self._item = self._depth = 0
        self._in_string = False
        self.left = b""
        self.ended = False

    def cut(self, block: bytes) -> bytes:
        """All items that are complete with this block, and what stands between them."""
        self.left += block
        done, out = 0, []
        while not self.ended and (mark := self._mark()):
            if self._ends_item(mark):
                end = self._at - 1
                out += [self.left[done : self._item], self._change(self.left[self._item : end])]
                done, self._item = end, self._at
        if self.ended:
            out.append(self.left[done:])
            done = len(self.left)
        self.left = self.left[done:]
        self._at -= done
        self._item -= done
        return b"".join(out)

    def _mark(self) -> bytes:
        """The next one outside of strings, or none so far; reading goes on behind it."""
        while True:
            if self._in_string and (text := _IN_STRING.match(self.left, self._at)):
                self._at = text.end()
                if not self.left.startswith(b'"', self._at):
                    return b""
                self._at += 1
            found = _MARK.search(self.left, self._at)
            self._at = found.end() if found else len(self.left)
            self._in_string = found is not None and found[0] == b'"'
            if not self._in_string:
                return found[0] if found else b""

    def _ends_item(self, mark: bytes) -> bool:
        if mark in b"[{":
            self._depth += 1
            if self._depth == 1:
                self._item = self._at
        elif mark in b"]}":
            self._depth -= 1
            self.ended = self._depth == 0
        return self.ended or (mark == b"," and self._depth == 1)
