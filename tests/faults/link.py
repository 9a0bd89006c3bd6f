"""A connection through the proxy: its two ends, what was asked on it, and how it is ended."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field


def make_abrupt(end: socket.socket) -> None:
    """Its close will be an RST."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@dataclass
class Asked:
    """A request that was begun on a link; `late` when a fault had ended the link before.

    `target` is without percent signs; `passed`: whether all of its head has gone to the far end, once that is
    known.
    """

    method: str
    target: str
    late: bool
    passed: bool | None = None


@dataclass
class Link:
    """A connection from the near end (the client) and its continuation to the far end (the server)."""

    near: socket.socket
    far: socket.socket
    asked: list[Asked] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """The near end has hung up, or was reset."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Both sockets are."""
    ended: bool = False
    """Ended by a fault: a client that sends another request on it has not checked."""
    mute: bool = False
    """Nothing passes any more."""
    within: bool = False
    """The near end has begun a request and not ended it."""
    doomed: bool = False
    """It ends together with the next answer that is whole."""

    def __post_init__(self) -> None:
        self._bell, self._hammer = socket.socketpair()
        self._open = 2
        self._lock = threading.Lock()

    @property
    def unfinished(self) -> bool:
        """Whether the near end keeps the connection on which it owes the rest of a request."""
        return self.within and not self.left.is_set()

    @property
    def bell(self) -> socket.socket:
        """Readable once the link is reset."""
        return self._bell

    def reset(self) -> None:
        """An RST to both ends."""
        for end in (self.near, self.far):
            make_abrupt(end)
        self.ended = self.mute = True
        self._hammer.close()

    def shut(self) -> None:
        """A FIN to both ends, and an RST to the one that still sends."""
        self.ended = self.mute = True
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def one_is_done(self) -> None:
        """The later of the two directions closes the sockets."""
        with self._lock:
            self._open -= 1
            if self._open:
                return
        for each in (self.near, self.far, self._bell, self._hammer):
            each.close()
        self.closed.set()
