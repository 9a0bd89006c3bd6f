"""OCI's conformance suite gives the results that are known, and each that is not a pass has its reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance import table
from tests.conformance.registries import SUBJECTS, Subject, results
from tests.conformance.suite import Unavailable, build

UPDATE = "run make conformance UPDATE=1, and say in tests/conformance/reasons.toml why a test does not pass"


@pytest.fixture(scope="module")
def suite() -> Path:
    """Its binary. Without Go there is none; `make conformance` demands one."""
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


def test_each_result_has_a_reason_and_each_reason_a_result() -> None:
    assert [*table.faults(table.read_results(), table.read_reasons())] == []


def test_the_page_is_up_to_date() -> None:
    assert table.PAGE.read_text() == table.page(table.read_results(), table.read_reasons()), UPDATE
