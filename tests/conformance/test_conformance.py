"""The OCI conformance suite returns the known results, and each result that is not a pass has a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance import table
from tests.conformance.registries import SUBJECTS, Subject, results
from tests.conformance.suite import Unavailable, build

UPDATE = (
    "run make conformance UPDATE=1, and enter the reason of a test that does not pass in tests/conformance/reasons.toml"
)


@pytest.fixture(scope="module")
def suite() -> Path:
    """The binary of the suite. `make conformance` requires Go; otherwise the tests are skipped without Go."""
    try:
        return build()
    except Unavailable as error:
        if os.environ.get("CONFORMANCE") == "required":
            raise
        pytest.skip(str(error))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_results_are_the_known_ones(subject: Subject, suite: Path, tmp_path: Path) -> None:
    found = results(subject, table.folder_of(tmp_path, subject.name))
    changed = [*table.changes(table.read_results()[subject.name], found)]
    assert changed == [], UPDATE


def test_results_and_reasons_match() -> None:
    assert [*table.faults(table.read_results(), table.read_reasons())] == []


def test_page_is_up_to_date() -> None:
    assert table.PAGE.read_text() == table.page(table.read_results(), table.read_reasons()), UPDATE
