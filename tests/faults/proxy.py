"""A TCP proxy that injects faults: raw sockets, two threads a connection. HTTP is read only to find the place."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from tests.faults.direction import Direction
from tests.faults.faults import Fault, Kind, Order, Unit, Way
from tests.faults.link import Asked, Link
from tests.faults.messages import Head

BUFFER = 1 << 17
"""Bytes that a socket of the proxy takes in before anybody reads: so few that who sends soon notices a stall."""


class FaultProxy:
    """Listens on loopback and passes all bytes on to the target, except for the faults that are ordered.

    `opaque`: do not look for HTTP; only faults of unit RAW can then be ordered.
    """

    def __init__(self, target: tuple[str, int], *, opaque: bool = False) -> None:
        self.opaque = opaque
        self.links: list[Link] = []
        self._target = target
        self._orders: list[Order] = []
        self._counts = dict.fromkeys(Way, 0)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(threading.Thread(target=self._accept, daemon=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.kill(Kind.RESET)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    # orders

    def order(self, fault: Fault) -> Order:
        """From now on; RAW is counted from here."""
        assert (fault.unit is Unit.RAW) == self.opaque
        order = Order(fault, fault.passed)
        with self._lock:
            self._counts = dict.fromkeys(Way, 0)
            self._orders.append(order)
        return order

    def calm(self) -> None:
        """Forgets what was ordered, and the connections so far."""
        with self._lock:
            self._orders.clear()
            self._counts = dict.fromkeys(Way, 0)
            self.links = [link for link in self.links if not link.left.is_set()]
            for link in self.links:
                link.asked = []  # the directions may be reading the old one

    def kill(self, kind: Kind) -> int:
        """Ends all connections there are now, as a fault of one of the CUTS would; `half-close` is the far end's.

        How many there were.
        """
        alive = [link for link in list(self.links) if not link.ended and not link.left.is_set()]
        for link in alive:
            if kind is Kind.RESET:
                link.reset()
                link.closed.wait(10)
            elif kind is Kind.TRUNCATE:
                link.shut()
            else:
                link.ended = True
                with contextlib.suppress(OSError):
                    link.near.shutdown(socket.SHUT_WR)
        return len(alive)

    def passed(self, way: Way) -> int:
        """Bytes of a direction since the last order or calm."""
        return self._counts[way]

    def with_request(self, method: str, target: str = "") -> list[Link]:
        """The links on which such a request was begun."""
        return [
            link for link in self.links if any(method == each.method and target in each.target for each in link.asked)
        ]

    # for the directions

    def claim(self, way: Way, head: Head, request: Asked, link: Link) -> tuple[Order, int] | None:
        """The order for a message of which the head is there, and its place."""
        with self._lock:
            for order in self._orders:
                fault = order.fault
                fits = fault.way is way and fault.method in ("", request.method) and fault.target in request.target
                if fault.unit is Unit.RAW or not fits:
                    continue
                if order.left:
                    order.left -= 1
                    continue
                self._orders.remove(order)
                order.link = link
                return order, _place(fault, head)
        return None

    def count(self, way: Way, size: int, link: Link) -> tuple[Order, int] | None:
        """Counts bytes that came; the order that acts on one of them, and on which."""
        with self._lock:
            before = self._counts[way]
            self._counts[way] += size
            for order in self._orders:
                fault = order.fault
                if fault.unit is Unit.RAW and fault.way is way and before <= _at(fault.at) < before + size:
                    self._orders.remove(order)
                    order.link = link
                    return order, _at(fault.at) - before
        return None

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            try:
                far.connect(self._target)
            except OSError:
                near.close()
                far.close()
                continue
            for end in (near, far):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(near, far)
            with self._lock:
                self.links.append(link)
            for direction in [Direction(self, link, way) for way in Way]:
                self._start(direction)

    def _start(self, thread: threading.Thread) -> None:
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()


def _at(place: object) -> int:
    assert isinstance(place, int)
    return place


def _place(fault: Fault, head: Head) -> int:
    if isinstance(fault.at, int):
        return fault.at
    assert head.size is not None, "the message does not say its size"
    return fault.at(head.size)
