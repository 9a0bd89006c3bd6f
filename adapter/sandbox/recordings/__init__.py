"""Recordings of a stock Harbor 2.15.2 that pushed, pulled and deleted, for the demo, and the images in them.

`tests/recordings/README.md` describes the format and the full series. The recordings are package data, which an
installation can leave out: the container image does.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

NAMES = (
    *("push-first", "push-large", "push-buildkit-index", "push-docker-list"),
    *("push-unchanged", "push-buildkit-index-unchanged"),
    *("pull-many-pages", "proxy-cache-cold", "event-delete-tag", "event-delete-artifact"),
)


class RecordingMissingError(LookupError):
    """A recording is not part of this installation."""


def shipped(name: str) -> Traversable:
    """The file of a recording in `NAMES`. The file can be inside a zip, so it is not a path.

    :raises RecordingMissingError: when this installation does not contain the recording.
    """
    file = files(__name__) / f"{name}.jsonl"
    if name not in NAMES or not file.is_file():
        raise RecordingMissingError(f"recording {name!r} is not installed: run the demo from a source checkout")
    return file
