"""The results that are known, the reason of each that is not a pass, and the page that shows both.

`results.json` has the results of every test, `reasons.toml` the reasons; `docs/conformance.md` is made from the two.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.conformance.registries import SUBJECTS
from tests.conformance.suite import MODULE, PACKAGE, ROOT, STATUSES, VERSION, Results

RESULTS = MODULE / "results.json"
REASONS = MODULE / "reasons.toml"
PAGE = ROOT / "docs" / "conformance.md"
NAMES = tuple(subject.name for subject in SUBJECTS)

AllResults = Mapping[str, Results]
"""By name of the subject."""


@dataclass(frozen=True)
class Outcome:
    """A test that did not always pass: how often it had which status."""

    subject: str
    test: str
    status: str
    count: int


@dataclass(frozen=True)
class Reason:
    """Why tests do not pass. `tests` are patterns, where `*` stands for anything; empty `subjects` for all of them."""

    tests: tuple[str, ...]
    status: str
    because: str
    subjects: tuple[str, ...] = ()

    def explains(self, outcome: Outcome) -> bool:
        return (
            outcome.status == self.status
            and (not self.subjects or outcome.subject in self.subjects)
            and any(fnmatchcase(outcome.test, pattern) for pattern in self.tests)
        )


def outcomes(found: AllResults) -> Iterator[Outcome]:
    """All that are not passes."""
    for subject, tests in found.items():
        for test, counts in tests.items():
            for status, count in counts.items():
                if status != "passed":
                    yield Outcome(subject, test, status, count)


def read_results() -> AllResults:
    rows: dict[str, dict[str, dict[str, int]]] = json.loads(RESULTS.read_text())
    return {name: {test: row[name] for test, row in rows.items() if name in row} for name in NAMES}


def write_results(found: AllResults) -> None:
    """One line a test, so that a change is a line in the diff."""
    tests = sorted({test for tests in found.values() for test in tests})
    rows = [
        f"{json.dumps(test)}: {json.dumps({name: found[name][test] for name in NAMES if test in found[name]})}"
        for test in tests
    ]
    RESULTS.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def read_reasons() -> list[Reason]:
    document = tomllib.loads(REASONS.read_text())
    return [
        Reason(tuple(each["tests"]), each["status"], each["because"], tuple(each.get("subjects", ())))
        for each in document["reason"]
    ]


def explained(found: AllResults, reasons: Iterable[Reason]) -> Mapping[Reason | None, list[Outcome]]:
    """The outcomes by the first reason that explains them; None for those that have none."""
    known = [*reasons]
    by_reason: dict[Reason | None, list[Outcome]] = {reason: [] for reason in known}
    for outcome in outcomes(found):
        first = next((reason for reason in known if reason.explains(outcome)), None)
        by_reason.setdefault(first, []).append(outcome)
    return by_reason


def faults(found: AllResults, reasons: Iterable[Reason]) -> Iterator[str]:
    """Results without a reason, and reasons without a result."""
    for reason, explained_by_it in explained(found, reasons).items():
        if reason is None:
            yield from (f"{each.subject}: {each.test}: {each.status}: no reason" for each in explained_by_it)
        elif not explained_by_it:
            yield f"nothing is {reason.status} for the reason {reason.because!r}"


def changes(before: Results, after: Results) -> Iterator[str]:
    """What is not as it was, better or worse, a sentence for each test."""
    for test in sorted({*before, *after}):
        if before.get(test) != after.get(test):
            yield f"{test}: was {before.get(test, 'not run')}, is {after.get(test, 'not run')}"


def version() -> str:
    """The suite's, as go.mod pins it."""
    lines = (MODULE / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.strip().startswith(f"{PACKAGE} v"))


def page(found: AllResults, reasons: Iterable[Reason]) -> str:
    """`docs/conformance.md`."""
    lines = [
        "# Conformance: where the adapter differs from the OCI distribution spec",
        "",
        "<!-- Written by make conformance UPDATE=1 from tests/conformance: do not edit. -->",
        "",
        f"OCI's own [conformance suite](https://{PACKAGE}) ({version()},",
        f"distribution spec {VERSION}) is run against three registries. Nothing here says anything",
        "about SWR itself: behind the adapter is the sandbox.",
        "",
        "| name | what it is |",
        "| --- | --- |",
        *(f"| `{subject.name}` | {subject.described} |" for subject in SUBJECTS),
        "",
        "`make conformance` builds the suite with Go from the Go module proxy, runs it and fails when a result is not",
        "the one in `tests/conformance/results.json`, better or worse. `make conformance UPDATE=1` writes the results",
        "and this page; it fails when a result has no reason in `tests/conformance/reasons.toml`, or a reason no",
        "result. Where Go is installed, `make test` checks the same.",
        "",
        "## Results",
        "",
        f"| | {' | '.join(STATUSES)} |",
        "| --- |" + " --- |" * len(STATUSES),
        *_totals(found),
        "",
        "A test is counted as often as the suite runs it, for each blob or manifest. *Skipped* is mostly what a",
        "registry may leave out: the suite asks for it and accepts the answer that says so.",
        "",
        "## What does not pass, and why",
        "",
        "`*` stands for anything. The first row that fits a result counts it. Where a registry is not named, these",
        "tests pass, or are not run because of an earlier result.",
        "",
        "| tests | result | reason |",
        "| --- | --- | --- |",
        *_rows(found, reasons),
    ]
    return "\n".join(lines) + "\n"


def _totals(found: AllResults) -> Iterator[str]:
    for name in NAMES:
        total: Counter[str] = Counter()
        for counts in found[name].values():
            total.update(counts)
        yield f"| `{name}` | {' | '.join(str(total[status]) for status in STATUSES)} |"


def _rows(found: AllResults, reasons: Iterable[Reason]) -> Iterator[str]:
    for reason, explained_by_it in explained(found, reasons).items():
        if reason is None:
            continue
        counts: Counter[str] = Counter()
        for outcome in explained_by_it:
            counts[outcome.subject] += outcome.count
        shown = ", ".join(f"`{name}` {counts[name]}" for name in NAMES if counts[name])
        tests = ", ".join(f"`{pattern}`" for pattern in reason.tests)
        yield f"| {tests} | {reason.status}: {shown} | {reason.because} |"


def write_page(found: AllResults) -> None:
    PAGE.write_text(page(found, read_reasons()))


def folder_of(parent: Path, name: str) -> Path:
    """Where the suite's reports of a subject go."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
