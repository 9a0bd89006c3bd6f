"""Searches everything that the suite and its services printed for the secrets it used: `canaries.py DIRECTORY`."""

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
    "a sealed location": re.compile(r"/blobs/uploads/+[^…\s\"'<{/$]{40,}"),
}
"""What is secret by its form; searched in the services' logs alone, since a failing test prints what it compares."""


def leaks(file: Path) -> Iterator[str]:
    """What of the secrets stands in a file."""
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
    # Without the adapters' logs nothing was searched that matters.
    return 1 if found or not adapters else 0


if __name__ == "__main__":
    sys.exit(main())
