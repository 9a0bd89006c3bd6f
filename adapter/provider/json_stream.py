"""A JSON array, translated item by item as it comes, so that memory has a bound. Pure.

A page of a hundred rules, each with two endpoints and their CA certificates, has no useful size limit, and each thread
of the port may serve such a page. Only a single item has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from adapter.errors import Unexpected

_BLANKS: Final = b" \t\n\r"
_MARK: Final = re.compile(rb'[\[\]{},"]')
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


def edit_items(blocks: Iterable[bytes], change: Callable[[bytes], bytes], max_item_bytes: int) -> Iterator[bytes]:
    """The blocks of an array with each item replaced by `change(item)`. Anything but an array stays as it is.

    Raises `Unexpected` if an item has more than `max_item_bytes`. Yields nothing of the array before its first item is
    complete.
    """
    blocks = iter(blocks)
    for block in blocks:
        if not (text := block.lstrip(_BLANKS)):
            yield block
        elif text.startswith(b"["):
            yield from _edit_array(block, blocks, change, max_item_bytes)
        else:
            yield block
            break
    yield from blocks


def _edit_array(
    block: bytes, blocks: Iterator[bytes], change: Callable[[bytes], bytes], max_item_bytes: int
) -> Iterator[bytes]:
    """Up to the end of the array, and the rest of its last block."""
    splitter = _Splitter(change)
    while True:
        if complete := splitter.feed(block):
            yield complete
        if splitter.ended:
            return
        if len(splitter.pending) > max_item_bytes:
            raise Unexpected(
                f"one endpoint or rule from Harbor core exceeds {max_item_bytes} bytes: look for a huge CA certificate "
                "or description in it"
            )
        if not (block := next(blocks, b"")):
            # An array without an end is not JSON: the rest stays as it is.
            yield splitter.pending
            return


class _Splitter:
    """Finds the ends of items. `pending` is what was received and not returned yet."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._at = self._item = self._depth = 0
        self._in_string = False
        self.pending = b""
        self.ended = False

    def feed(self, block: bytes) -> bytes:
        """Returns all items that are complete with this block, and what is between them."""
        self.pending += block
        done, out = 0, []
        while not self.ended and (mark := self._next_mark()):
            if self._ends_item(mark):
                end = self._at - 1
                out += [self.pending[done : self._item], self._change(self.pending[self._item : end])]
                done, self._item = end, self._at
        if self.ended:
            out.append(self.pending[done:])
            done = len(self.pending)
        self.pending = self.pending[done:]
        self._at -= done
        self._item -= done
        return b"".join(out)

    def _next_mark(self) -> bytes:
        """The next structural character outside strings; empty until one arrives."""
        while True:
            if self._in_string and (text := _IN_STRING.match(self.pending, self._at)):
                self._at = text.end()
                if not self.pending.startswith(b'"', self._at):
                    return b""
                self._at += 1
            found = _MARK.search(self.pending, self._at)
            self._at = found.end() if found else len(self.pending)
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
