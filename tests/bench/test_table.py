"""The arithmetic of the benchmark, and what it reads from the kernel. No number depends on how fast the machine is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bench.processes import cpu_seconds, own_seconds, peak, reset_peak, resident, tree
from tests.bench.table import Bound, Line, Outcome, Sample, missed, ratio_of_pairs, render


@pytest.mark.parametrize(
    ("bound", "value", "met", "text"),
    [
        (Bound(least=0.75, unit="×"), 0.75, True, "≥ 0.75 ×"),
        (Bound(least=0.75, unit="×"), 0.74, False, "≥ 0.75 ×"),
        (Bound(most=6, unit="MiB"), 6.0, True, "≤ 6 MiB"),
        (Bound(most=6, unit="MiB"), 6.1, False, "≤ 6 MiB"),
        (Bound(), 1e9, True, ""),
    ],
)
def test_bounds(bound: Bound, value: float, met: bool, text: str) -> None:
    assert bound.met(value) is met
    assert str(bound) == text


def test_a_sample_is_told_per_second_and_per_gib() -> None:
    sample = Sample(size=2**31, seconds=2.0, cpu=3.0)
    assert sample.gigabytes_per_second == pytest.approx(1.073741824)
    assert sample.cpu_per_gib == pytest.approx(1.5)
    assert sample.cores == pytest.approx(1.5)


def test_ratios_are_taken_pair_by_pair() -> None:
    # A machine that is ten times slower in the second round says nothing about either side.
    assert ratio_of_pairs([3.0, 0.3, 3.0], [4.0, 0.4, 5.0]) == pytest.approx(0.75)
    with pytest.raises(ValueError):
        ratio_of_pairs([1.0, 2.0], [1.0])


def test_the_table_marks_what_is_missed_and_says_what_limits_it() -> None:
    good = Line("upload", "GB/s", "0.70", "nginx 0.80", 0.875, Bound(least=0.75, unit="×"), "×")
    bad = Line("upload", "CPU s/GiB", "3.00", "nginx 2.00", 1.5, Bound(most=1.15, unit="×"), "×")
    free = Line("door", "ms", "1.10", "core alone 0.20", 0.9, None, "ms more")
    outcomes = [Outcome((good, bad), "one core"), Outcome((free,), "Python")]
    assert missed(outcomes) == [bad]
    head, rule, first, second, third, blank, *limits = render(outcomes).splitlines()
    assert head.split() == ["row", "what", "adapter", "beside", "value", "wanted"]
    assert set(rule) == {"-"}
    assert (first.split()[-1], second.split()[-1], third.split()[-1]) == ("pass", "MISS", "–")
    assert [line.index("nginx") for line in (first, second)] == [head.index("beside")] * 2
    assert blank == ""
    assert limits == ["What limits it", "upload: one core", "door: Python"]


BURN = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); sys.stdin.read()"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"


def test_what_children_cost_counts() -> None:
    before = own_seconds()
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(list(tree(parent.pid))) == 2
        assert cpu_seconds(parent.pid) >= 0.3
        assert own_seconds() - before >= 0.3
        assert resident(parent.pid) > sum(resident(each) for each in list(tree(parent.pid))[1:]) > 1 << 20
        parent.communicate()
    assert own_seconds() - before >= 0.3, "what has ended counts as well"


def test_the_peak_is_seen_after_it_is_over() -> None:
    pid = os.getpid()
    reset_peak(pid)
    before = peak(pid)
    block = bytearray(b"x") * (64 << 20)
    del block
    assert peak(pid) - before > 48 << 20
    assert resident(pid) <= peak(pid)
