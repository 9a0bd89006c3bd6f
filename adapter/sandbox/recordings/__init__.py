"""What a stock Harbor 2.15.2 sent while it pushed, pulled and deleted, as the demo plays it, and the images in it.

The format is that of `tests/recordings/README.md`, where the whole series is.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

NAMES = (
    *("push-first", "push-large", "push-buildkit-index", "push-docker-list"),
    *("push-unchanged", "push-buildkit-index-unchanged"),
    *("pull-many-pages", "proxy-cache-cold", "event-delete-tag", "event-delete-artifact"),
)


def shipped(name: str) -> Traversable:
    """The file of a shipped recording, one of `NAMES`; it may lie inside a zip, so it is no path.

    :raises ValueError: for any other name.
    """
    if name not in NAMES:
        raise ValueError(f"no recording is called {name!r}: {', '.join(NAMES)}")
    return files(__name__) / f"{name}.jsonl"
