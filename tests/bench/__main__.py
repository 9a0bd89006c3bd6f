"""`make bench`: what the adapter costs, as ratios to what one could have instead.

    python -m tests.bench [--quick] [--strict] [--list] [--rounds N] [--curl] [ROW …]

Rows are picked by the beginning of their names, for example `upload-tls`; without any, all are measured. The exit
status is 0 whatever the numbers are, since machines differ; with --strict it is 1 when something wanted is missed.
A row that cannot be measured is 1 in any case.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.bench import latency, memory, pushes, transfers
from tests.bench.load import Failed
from tests.bench.provider_door import list_of_endpoints
from tests.bench.scale import QUICK, Scale
from tests.bench.stage import Stage, ends
from tests.bench.table import Outcome, missed, render

Row = Callable[[Stage, Scale], Outcome]


def _transfer(case: transfers.Case) -> Row:
    def measured(stage: Stage, scale: Scale) -> Outcome:
        return transfers.measure(stage, case, scale.alone if case.count == 1 else scale.of_several, scale.rounds)

    return measured


def rows() -> dict[str, Row]:
    """By name, in the order of the table."""
    return {case.name: _transfer(case) for case in transfers.cases()} | {
        "memory-upload": memory.growth(upload=True),
        "memory-download": memory.growth(upload=False),
        "head-plain": latency.head(upstream_tls=False),
        "head-tls": latency.head(upstream_tls=True),
        "head-stalled": latency.stalled,
        "requests-new": pushes.requests("requests-new", "push-first", there=False),
        "requests-unchanged": pushes.requests("requests-unchanged", "push-unchanged", there=True),
        "provider-door": list_of_endpoints,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("row", nargs="*", help="the beginning of names of rows, or a pattern with * (all rows)")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--quick", action="store_true", help="little data, one round: whether it runs at all")
    parser.add_argument("--rounds", type=int, help="samples of each transfer (7)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when something that is wanted is missed")
    parser.add_argument("--curl", action="store_true", help="as on a machine without a compiler")
    return parser.parse_args()


def measure(names: list[str], scale: Scale, *, curl: bool) -> tuple[list[Outcome], list[str]]:
    """The outcomes, and a sentence for each row that could not be measured."""
    known, outcomes, failures = rows(), [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Stage(Path(folder), ends(curl=curl)) as stage:
        for name in names:
            print(f"  {name}", file=sys.stderr, flush=True)
            try:
                outcomes.append(known[name](stage, scale))
            except (Failed, pushes.PushFailed, OSError, RuntimeError, subprocess.SubprocessError) as reason:
                failures.append(f"{name}: {reason}")
    return outcomes, failures


def main() -> int:
    options = arguments()
    patterns = [f"{each}*" for each in options.row] or ["*"]
    names = [name for name in rows() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if options.list or not names:
        print("\n".join(rows()))
        return 0 if options.list else 2
    scale = QUICK if options.quick else Scale()
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    outcomes, failures = measure(names, scale, curl=options.curl)
    print(render(outcomes))
    for each in failures:
        print(f"NOT MEASURED  {each}")
    return 1 if failures or (options.strict and missed(outcomes)) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as reason:
        sys.exit(f"bench: {reason}")
