"""Runs the suite against all registries and writes results and page (`make conformance UPDATE=1`)."""

from __future__ import annotations

import sys
from itertools import chain

from tests.conformance import table
from tests.conformance.registries import SUBJECTS, results
from tests.conformance.suite import ROOT, Unavailable, build

REPORTS = ROOT / "build" / "conformance"


def main() -> int:
    try:
        build()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    before = table.read_results() if table.RESULTS.exists() else {name: {} for name in table.NAMES}
    found = {}
    for subject in SUBJECTS:
        found[subject.name] = results(subject, table.folder_of(REPORTS, subject.name))
        for change in table.changes(before[subject.name], found[subject.name]):
            print(f"{subject.name}: {change}")
    wrong = [*table.faults(found, table.read_reasons())]
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        print(f"{len(wrong)} faults, nothing was written: correct {table.REASONS.relative_to(ROOT)}", file=sys.stderr)
        return 1
    table.write_results(found)
    table.write_page(found)
    listed = sum(1 for _ in chain.from_iterable(found.values()))
    print(f"{listed} results written; the reports of the suite are in {REPORTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
