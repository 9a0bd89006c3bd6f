"""The known results, the reason of each result that is not a pass, and the page with both.

`results.json` has the results of every test, `reasons.toml` the reasons; `docs/conformance.md` is generated from both.
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
"""Results by name of the subject."""


@dataclass(frozen=True)
class Outcome:
    """A test that did not always pass, with the number of runs with this status."""

    subject: str
    test: str
    status: str
    count: int


@dataclass(frozen=True)
class Reason:
    """Why tests do not pass. `tests` are patterns with `*`; empty `subjects`: all."""

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
    """All results that are not passes."""
    for subject, tests in found.items():
        for test, counts in tests.items():
            for status, count in counts.items():
                if status != "passed":
                    yield Outcome(subject, test, status, count)


def read_results() -> AllResults:
    rows: dict[str, dict[str, dict[str, int]]] = json.loads(RESULTS.read_text())
    return {name: {test: row[name] for test, row in rows.items() if name in row} for name in NAMES}


def write_results(found: AllResults) -> None:
    """Writes one line per test, so that a change is one line in a diff."""
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
    """The outcomes by the first reason that matches; None for those without a reason."""
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
            yield f"no result is {reason.status} for the reason {reason.because!r}"


def changes(before: Results, after: Results) -> Iterator[str]:
    """All changed results, better or worse, one message per test."""
    for test in sorted({*before, *after}):
        if before.get(test) != after.get(test):
            yield f"{test}: was {before.get(test, 'not run')}, is {after.get(test, 'not run')}"


def version() -> str:
    """The version of the suite in go.mod."""
    lines = (MODULE / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.strip().startswith(f"{PACKAGE} v"))


def page(found: AllResults, reasons: Iterable[Reason]) -> str:
    """`docs/conformance.md`."""
    lines = [
        "# Conformance: where the adapter differs from the OCI distribution spec",
        "",
        "<!-- Written by make conformance UPDATE=1 from tests/conformance: do not edit. -->",
        "",
        "This page lists which tests of the OCI conformance suite do not pass, and why. To run the suite, install Go,",
        "then:",
        "",
        "```sh",
        "make conformance             # fails if a result differs from tests/conformance/results.json",
        "make conformance UPDATE=1    # writes the results and this page",
        "```",
        "",
        "`UPDATE=1` fails if a result has no reason in `tests/conformance/reasons.toml`, or a reason no result. If Go",
        "is installed, `make test` also runs the suite.",
        "",
        "## Results",
        "",
        f"The [conformance suite](https://{PACKAGE}) ({version()},",
        f"distribution spec {VERSION}) runs against three registries. The results say nothing about SWR itself:",
        "the adapter is in front of the sandbox.",
        "",
        "| name | registry |",
        "| --- | --- |",
        *(f"| `{subject.name}` | {subject.described} |" for subject in SUBJECTS),
        "",
        f"| | {' | '.join(STATUSES)} |",
        "| --- |" + " --- |" * len(STATUSES),
        *_totals(found),
        "",
        "A test counts each time the suite runs it, for each blob or manifest. Most *skipped* tests are for optional",
        "features: the suite accepts the response that a registry does not support them.",
        "",
        "## What does not pass, and why",
        "",
        "`*` matches any text. The first row that matches a result counts it. If a row does not list a registry, these",
        "tests pass there, or do not run because of an earlier result.",
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
    """Creates the folder for the reports of a subject."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
