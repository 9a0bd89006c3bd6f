"""Searches everything that the suite and its services printed for the secrets it used: `canaries.py DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.credentials import canaries


def main() -> int:
    folder = Path(sys.argv[1])
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    leaks = [
        f"{file}: {secret}" for file in files for secret in canaries() if secret in file.read_text(errors="replace")
    ]
    print(f"searched {len(files)} files for {len(canaries())} secrets: {len(leaks)} found", *leaks, sep="\n  ")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
