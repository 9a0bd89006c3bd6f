"""What can be ordered of the proxy: a kind of fault, at one byte of one direction."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.faults.link import Link

Place = int | Callable[[int], int]
"""A byte, or where it is in so many."""

END: Final = -1
"""In a chunked body: before the last chunk, so that all of the content and not the end has passed."""


class Kind(StrEnum):
    """What happens to the connection; but for `flip` the byte itself does not pass."""

    RESET = "reset"
    """Both ends get an RST."""
    HALF_CLOSE = "half-close"
    """The direction ends, as if the sender had said that nothing more comes; the other one lives on, for one answer."""
    TRUNCATE = "truncate"
    """Both ends are closed, in good order."""
    STALL = "stall"
    """Nothing more passes in this direction until one end hangs up, or for some seconds; then as `truncate`."""
    FLIP = "flip"
    """One bit of the byte is another. An answer that is damaged so is the connection's last."""
    DELAY = "delay"
    """It passes some seconds later."""


CUTS: Final = (Kind.RESET, Kind.HALF_CLOSE, Kind.TRUNCATE)
"""Those after which nothing more comes through."""


class Way(StrEnum):
    """UP is from the client to the server, DOWN back."""

    UP = "up"
    DOWN = "down"


class Unit(Enum):
    """What is counted, from 0."""

    CONTENT = "the content of the body, without the framing of chunks"
    MESSAGE = "the whole message, with its head"
    RAW = "all bytes of the direction since the fault was ordered, whatever they are"


@dataclass(frozen=True)
class Fault:
    """Acts once, on the first message that fits: of a request with this method whose target contains this, or of the
    answer to it; `passed` such messages go by before. A fault of unit RAW fits anything."""

    kind: Kind
    way: Way
    at: Place
    unit: Unit = Unit.CONTENT
    method: str = ""
    target: str = ""
    passed: int = 0
    seconds: float = 0.2


@dataclass
class Order:
    """A fault that was ordered: `acted` once it has, on `link`."""

    fault: Fault
    left: int
    acted: threading.Event = field(default_factory=threading.Event)
    link: Link | None = None
