"""Searches all output of the suite and its services for the secrets of the suite: `canaries.py DIRECTORY`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.credentials import canaries

SHAPES = {
    "a token": re.compile(r"eyJ[\w-]{8,}\."),
    "upload state": re.compile(r"_state=[^…\s&\"']{4,}"),
    "the token of an upload location": re.compile(r"/blobs/uploads/+[^…\s\"'<{/$]{40,}"),
}
"""Secrets by their form; searched only in the logs of services, because a failing test prints what it compares."""


def leaks(file: Path) -> Iterator[str]:
    """The secrets in a file."""
    text = file.read_text(errors="replace")
    yield from (secret for secret in canaries() if secret in text)
    if file.suffix == ".log":
        yield from (name for name, shape in SHAPES.items() if shape.search(text))


def main() -> int:
    folder = Path(sys.argv[1])
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    found = [f"{file}: {leak}" for file in files for leak in leaks(file)]
    adapters = sum(file.name.startswith("adapter-") for file in files)
    print(f"searched {len(files)} files, {adapters} of adapters, for {len(canaries())} secrets: {len(found)} found")
    print(*found, sep="\n  ")
    # Without a log of an adapter the search proves nothing.
    return 1 if found or not adapters else 0


if __name__ == "__main__":
    sys.exit(main())
