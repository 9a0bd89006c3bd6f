"""The mutation score of each module, from what `mutmut results --all true` prints: `mutation.py < RESULTS`.

Ends with 1 when a module is below the least score, or was not mutated at all.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

LEAST = 85
"""Per cent."""

FOUND = frozenset({"killed", "timeout"})
"""What counts: a test failed, or never ended. A mutant that no test reaches has survived."""

# `    adapter.transfer.upload_session.xǁSessionǁadvanced__mutmut_4: survived`
_RESULT = re.compile(r"\s*(?P<mutant>(?P<module>[\w.]+)\.x[_ǁ]\S+__mutmut_[0-9]+): (?P<status>.+)")


def modules(pyproject: Path) -> list[str]:
    """The modules that mutmut is to mutate."""
    configured = tomllib.loads(pyproject.read_text())["tool"]["mutmut"]["only_mutate"]
    return [path.removesuffix(".py").replace("/", ".") for path in configured]


def read(lines: Iterable[str]) -> tuple[Counter[str], Counter[str], list[str]]:
    """Mutants and found mutants by module, and the lines of those that were not found."""
    every, found, left = Counter[str](), Counter[str](), []
    for line in lines:
        match = _RESULT.fullmatch(line.rstrip("\n"))
        if match is None:
            continue
        every[match["module"]] += 1
        if match["status"] in FOUND:
            found[match["module"]] += 1
        else:
            left.append(line.strip())
    return every, found, left


def score(every: Mapping[str, int], found: Mapping[str, int], module: str) -> float:
    """Per cent of a module's mutants; 0 when there are none."""
    return 100 * found.get(module, 0) / every[module] if every.get(module) else 0.0


def main() -> int:
    wanted = modules(Path("pyproject.toml"))
    every, found, left = read(sys.stdin)
    print(*left, sep="\n")
    for module in wanted:
        print(f"{module:<30}{found[module]:>5} of {every[module]:>4} found{score(every, found, module):>8.1f} %")
    return 1 if any(score(every, found, module) < LEAST for module in wanted) else 0


if __name__ == "__main__":
    sys.exit(main())
