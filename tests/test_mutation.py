from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation import modules

ROOT = Path(__file__).parent.parent
MODULES = modules(ROOT / "pyproject.toml")


def results(module: str, found: int, survived: int, status: str = "survived") -> list[str]:
    """As mutmut prints them."""
    lines = [f"    {module}.x_some_name__mutmut_{number}: killed" for number in range(1, found + 1)]
    return lines + [f"    {module}.xǁClassǁsome__mutmut_{number}: {status}" for number in range(1, survived + 1)]


def scored(lines: list[str]) -> tuple[int, str]:
    command = [sys.executable, "tests/mutation.py"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, encoding="utf-8", cwd=ROOT, check=False)
    return done.returncode, done.stdout


def test_the_modules_exist() -> None:
    assert "adapter.transfer.upload_session" in MODULES
    assert all((ROOT / (module.replace(".", "/") + ".py")).is_file() for module in MODULES)


def test_every_module_has_its_score() -> None:
    code, printed = scored([line for module in MODULES for line in results(module, 17, 3)])
    assert code == 0
    assert printed.count(" 17 of   20 found    85.0 %") == len(MODULES)
    assert "adapter.references.xǁClassǁsome__mutmut_3: survived" in printed


@pytest.mark.parametrize("status", ["survived", "no tests", "not checked", "suspicious", "segfault"])
@pytest.mark.parametrize("module", MODULES)
def test_one_low_score_fails(module: str, status: str) -> None:
    others = [line for other in MODULES if other != module for line in results(other, 20, 0)]
    assert scored(others + results(module, 16, 4, status))[0] == 1
    assert scored(others + results(module, 16, 4, "timeout"))[0] == 0


def test_a_module_that_was_not_mutated_fails() -> None:
    assert scored([])[0] == 1
    assert scored([line for module in MODULES[1:] for line in results(module, 20, 0)])[0] == 1
