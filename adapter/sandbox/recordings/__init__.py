"""What a stock Harbor 2.15.2 sent while it pushed: the four recordings that the demo plays, and the images in them.

The format is that of `tests/recordings/README.md`, where the whole series is.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

NAMES = ("push-first", "push-large", "push-docker-list", "push-unchanged")


def shipped(name: str) -> Traversable:
    """The file of a shipped recording, one of `NAMES`; it may lie inside a zip, so it is no path.

    :raises ValueError: for any other name.
    """
    if name not in NAMES:
        raise ValueError(f"no recording is called {name!r}: {', '.join(NAMES)}")
    return files(__name__) / f"{name}.jsonl"
