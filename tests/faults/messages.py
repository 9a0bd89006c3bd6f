"""One direction of an HTTP/1.1 connection, cut into heads, content and framing as the bytes pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """What bytes are: LAST is the end of a chunked body, `0` and what follows."""

    HEAD = auto()
    CONTENT = auto()
    FRAMING = auto()
    LAST = auto()


class Piece(NamedTuple):
    """Bytes of one kind, as they came."""

    kind: Kind
    data: bytes


@dataclass(frozen=True)
class Head:
    """The first line, and the size of the message in bytes: None when it does not say (chunked, or until the end)."""

    start: str
    size: int | None
    chunked: bool

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.partition(" ")[0]

    @property
    def target(self) -> str:
        """Of a request."""
        return self.start.split(" ")[1]


class Cutter:
    """`bodiless` tells of a head whether no body follows, whatever it announces."""

    def __init__(self, bodiless: Callable[[Head], bool]) -> None:
        self._bodiless = bodiless
        self._rest = bytearray()
        self._step = self._head
        self._left = 0
        self.head: Head | None = None

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that `data` completes; a head comes whole, content as it is."""
        self._rest += data
        while self._rest and (piece := self._step()) is not None:
            yield piece

    @property
    def between(self) -> bool:
        """Whether one message is over and the next has not begun."""
        return self._step == self._head and not self._rest

    def leftover(self) -> bytes:
        """What came of a head that did not get complete."""
        return bytes(self._rest)

    def _take(self, kind: Kind, count: int) -> Piece:
        data = bytes(self._rest[:count])
        del self._rest[:count]
        return Piece(kind, data)

    def _line(self) -> int:
        """Bytes of the line at the beginning with its end; 0 when it is not there yet."""
        return self._rest.find(b"\r\n") + 2 if b"\r\n" in self._rest else 0

    def _head(self) -> Piece | None:
        end = self._rest.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        piece = self._take(Kind.HEAD, end)
        start, *fields = piece.data.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        chunked, length = "transfer-encoding" in headers, headers.get("content-length")
        answer = start.startswith("HTTP/")
        self._left = int(length or 0)
        known = not chunked and (length is not None or not answer)
        self.head = Head(start, end + self._left if known else None, chunked)
        if self._bodiless(self.head):
            self.head = Head(start, end, False)
        elif chunked:
            self._step = self._size
        elif not known:
            self._step = self._all
        elif self._left:
            self._step = self._content
        return piece

    def _content(self) -> Piece:
        piece = self._take(Kind.CONTENT, self._left)
        self._left -= len(piece.data)
        if not self._left:
            self._step = self._after_chunk if self.head is not None and self.head.chunked else self._head
        return piece

    def _all(self) -> Piece:
        return self._take(Kind.CONTENT, len(self._rest))

    def _size(self) -> Piece | None:
        end = self._line()
        if not end:
            return None
        self._left = int(self._rest[: end - 2].split(b";")[0], 16)
        if not self._left:
            self._step = self._last
            return self._last()
        self._step = self._content
        return self._take(Kind.FRAMING, end)

    def _after_chunk(self) -> Piece | None:
        if len(self._rest) < 2:
            return None
        self._step = self._size
        return self._take(Kind.FRAMING, 2)

    def _last(self) -> Piece | None:
        end = self._rest.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        self._step = self._head
        return self._take(Kind.LAST, end)
