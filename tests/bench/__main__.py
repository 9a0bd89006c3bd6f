"""`make bench`: the cost of the adapter, as ratios to nginx or to a direct connection.

    python -m tests.bench [--quick] [--strict] [--list] [--rounds N] [--curl] [ROW …]

Select rows by the beginning of their names, for example `upload-tls`; default: all rows. The exit status does not
depend on the numbers, because machines differ; with --strict it is 1 if a target is missed. It is always 1 if a row
cannot be measured.
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
from tests.bench.environment import Environment, ends
from tests.bench.load import BenchError
from tests.bench.provider_door import list_of_endpoints
from tests.bench.scale import QUICK, Scale
from tests.bench.table import Outcome, missed, render

Row = Callable[[Environment, Scale], Outcome]


def _transfer(case: transfers.Case) -> Row:
    def measured(environment: Environment, scale: Scale) -> Outcome:
        return transfers.measure(
            environment, case, scale.single_bytes if case.count == 1 else scale.concurrent_bytes, scale.rounds
        )

    return measured


def rows() -> dict[str, Row]:
    """Rows by name, in the order of the table."""
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
    parser.add_argument("row", nargs="*", help="beginning of row names, or a pattern with * (default: all rows)")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--quick", action="store_true", help="smoke test: little data, one round")
    parser.add_argument("--rounds", type=int, help="samples of each transfer (default: 7)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--curl", action="store_true", help="use curl and nginx, as on a machine without a C compiler")
    return parser.parse_args()


def measure(names: list[str], scale: Scale, *, curl: bool) -> tuple[list[Outcome], list[str]]:
    """The outcomes, and a message for each row that could not be measured."""
    known, outcomes, failures = rows(), [], []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Environment(Path(folder), ends(curl=curl)) as environment,
    ):
        for name in names:
            print(f"  {name}", file=sys.stderr, flush=True)
            try:
                outcomes.append(known[name](environment, scale))
            except (BenchError, pushes.PushFailedError, OSError, RuntimeError, subprocess.SubprocessError) as reason:
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
    except BenchError as reason:
        sys.exit(f"bench: {reason}")
