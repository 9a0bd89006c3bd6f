"""One direction of a connection through the proxy: passes bytes on, finds the place of a fault, and acts it out."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.faults.faults import CUTS, END, Kind, Order, Unit, Way
from tests.faults.link import Asked, Link, make_abrupt
from tests.faults.messages import Cutter, Head, Piece
from tests.faults.messages import Kind as Part

if TYPE_CHECKING:
    from tests.faults.proxy import FaultProxy

BLOCK = 1 << 16


class _Over(Exception):
    """The link was reset."""


class Direction(threading.Thread):
    """Passes on what comes from one end to the other."""

    def __init__(self, proxy: FaultProxy, link: Link, way: Way) -> None:
        super().__init__(daemon=True)
        self._proxy = proxy
        self._link = link
        self._way = way
        self._source, self._sink = (link.near, link.far) if way is Way.UP else (link.far, link.near)
        self._cutter = Cutter(self._bodiless)
        self._asked: Asked | None = None
        self._claimed: tuple[Order, int] | None = None
        self._count = 0
        self._deaf = False

    def run(self) -> None:
        try:
            while data := self._receive():
                over = self._link.mute
                self._take(data)
                if over:
                    # As after close(2): a peer that still sends is reset.
                    make_abrupt(self._source)
                    self._source.close()
                    return
            self._forward(self._cutter.leftover())
            self._end()
        except _Over:
            pass
        except OSError:
            self._link.reset()
        finally:
            if self._asked is not None and self._asked.passed is None:
                self._asked.passed = False
            if self._way is Way.UP:
                self._link.left.set()
            self._link.one_is_done()

    # reading and writing

    def _wait(self, end: socket.socket, event: int) -> None:
        poll = select.poll()
        poll.register(end, event)
        poll.register(self._link.bell, select.POLLIN)
        if any(file == self._link.bell.fileno() for file, _ in poll.poll()):
            raise _Over

    def _receive(self) -> bytes:
        self._wait(self._source, select.POLLIN)
        return self._source.recv(BLOCK)

    def _forward(self, data: bytes) -> None:
        view = memoryview(data)
        # So that the end comes in one piece with what is the last, and nobody takes the connection to be idle between.
        flags = socket.MSG_MORE if self._is_last() else 0
        while view and not self._deaf and not self._link.mute:
            self._wait(self._sink, select.POLLOUT)
            view = view[self._sink.send(view, flags) :]

    def _is_last(self) -> bool:
        last = self._way is Way.DOWN and self._link.doomed and self._cutter.between
        return last and not self._proxy.opaque

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)

    # finding the place

    def _bodiless(self, head: Head) -> bool:
        if self._way is Way.UP:
            return False
        asked = self._link.asked
        method = asked[-1].method if asked else ""
        return method == "HEAD" or head.start.split(" ")[1] in {"204", "304"}

    def _take(self, data: bytes) -> None:
        if (found := self._proxy.count(self._way, len(data), self._link)) is not None:
            self._act(found[0], data, found[1])
        elif self._proxy.opaque:
            self._forward(data)
        else:
            for piece in self._cutter.feed(data):
                self._pass(piece)

    def _pass(self, piece: Piece) -> None:
        if piece.kind is Part.HEAD:
            self._begin()
        at = self._place_in(piece)
        if self._claimed is None or at is None:
            self._forward(piece.data)
        else:
            order, self._claimed = self._claimed[0], None
            self._act(order, piece.data, at)
        if self._way is Way.UP:
            self._link.within = not self._cutter.between
            if piece.kind is Part.HEAD and self._asked is not None:
                # Not the link's last: who asked may have its answer by now, and the next test has forgotten the link's.
                self._asked.passed = not (self._deaf or self._link.mute)
        if self._is_last():
            self._link.shut()

    def _begin(self) -> None:
        assert self._cutter.head is not None
        head, asked = self._cutter.head, self._link.asked
        if self._way is Way.UP:
            self._asked = Asked(head.method, unquote(head.target), self._link.ended)
            asked.append(self._asked)
        self._claimed = self._proxy.claim(self._way, head, asked[-1], self._link) if asked else None
        self._count = 0

    def _place_in(self, piece: Piece) -> int | None:
        """Where in a piece of a message the fault is to act."""
        if self._claimed is None:
            return None
        order, place = self._claimed
        if place == END:
            return 0 if piece.kind is Part.LAST else None
        if order.fault.unit is Unit.CONTENT and piece.kind is not Part.CONTENT:
            return None
        at = place - self._count
        self._count += len(piece.data)
        return at if 0 <= at < len(piece.data) else None

    # the faults

    def _act(self, order: Order, data: bytes, at: int) -> None:
        """All that is before the byte passes."""
        kind = order.fault.kind
        self._forward(data[:at])
        rest = data[at:]
        order.acted.set()
        if kind in CUTS:
            self._cut(kind)
        elif kind is Kind.FLIP:
            self._link.doomed = self._way is Way.DOWN
            self._forward(bytes([rest[0] ^ 1]) + rest[1:])
        elif kind is Kind.DELAY:
            self._pause(order.fault.seconds)
            self._forward(rest)
        else:
            self._pause(order.fault.seconds, hang_up=True)
            self._link.shut()

    def _cut(self, kind: Kind) -> None:
        if kind is Kind.RESET:
            self._link.reset()
            raise _Over
        if kind is Kind.TRUNCATE:
            self._link.shut()
            return
        self._end()
        self._deaf = True
        # Who is cut off from its server, and is not told, cannot know: servers then close after their answer.
        self._link.ended = self._way is Way.DOWN
        self._link.doomed = self._way is Way.UP

    def _pause(self, seconds: float, *, hang_up: bool = False) -> None:
        """`hang_up`: no longer than until the sender hangs up, or the receiver is gone altogether."""
        poll = select.poll()
        poll.register(self._link.bell, select.POLLIN)
        if hang_up:
            poll.register(self._source, select.POLLRDHUP)
            poll.register(self._sink, 0)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready = [file for file, _ in poll.poll(left * 1000)]
            if self._link.bell.fileno() in ready:
                raise _Over
            if ready:
                return
