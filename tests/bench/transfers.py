"""Uploads and downloads through the adapter and nginx, in pairs, so that both see the same load of the machine."""

from __future__ import annotations

import functools
import hashlib
import statistics
import time
from dataclasses import dataclass

from tests.bench.environment import Environment, Setting, Way
from tests.bench.processes import Ticks, cpu_seconds, own_seconds
from tests.bench.table import Bound, Line, Outcome, Sample, ratio_of_pairs

BLOCK = bytes(1 << 20)
CONCURRENT = 8
MAX_ROUNDS_FACTOR = 3
MAX_OTHER_CORES = 0.15
"""Cores of other work above which a sample is disturbed."""


@dataclass(frozen=True)
class Case:
    """One row: direction, configuration, number of concurrent transfers, and targets of the two ratios."""

    name: str
    upload: bool
    setting: Setting
    count: int
    throughput: Bound | None
    cpu: Bound | None

    def sample(self, environment: Environment, way: Way, size: int) -> Sample:
        """One sample: `count` concurrent transfers of `size` bytes."""
        move = environment.ends.send if self.upload else environment.ends.fetch
        digest = digest_of_zeros(size)
        before, own, ticks, started_at = _cpu(way), own_seconds(), Ticks.now(), time.monotonic()
        seconds = move(way.target, digest, size, self.count)
        spent, now, passed = _cpu(way) - before, Ticks.now(), time.monotonic() - started_at
        others = (now.used_since(ticks) - own_seconds() + own) / passed
        return Sample(size * self.count, seconds, spent, now.busy_since(ticks), max(0.0, others))


def _cpu(way: Way) -> float:
    return cpu_seconds(way.pid) if way.pid else 0.0


@dataclass(frozen=True)
class Pair:
    """One sample of adapter and nginx each, and the CPU seconds per GiB of hashing alone."""

    ours: Sample
    theirs: Sample
    hashing: float

    @property
    def calm(self) -> bool:
        return max(self.ours.others, self.theirs.others) <= MAX_OTHER_CORES


def chosen(pairs: list[Pair]) -> list[Pair]:
    """The calm pairs; all pairs if fewer than half are calm, which the result then reports."""
    calm = [pair for pair in pairs if pair.calm]
    return calm if len(calm) * 2 >= len(pairs) else pairs


@functools.cache
def digest_of_zeros(size: int) -> str:
    return "sha256:" + _hashed(size)[0]


def _hashed(size: int) -> tuple[str, float]:
    """The SHA-256 of `size` zero bytes, computed as by the adapter, and its CPU seconds."""
    started_at = time.thread_time()
    checksum = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        checksum.update(BLOCK)
    checksum.update(BLOCK[: size % len(BLOCK)])
    return checksum.hexdigest(), time.thread_time() - started_at


def measure(environment: Environment, case: Case, size: int, rounds: int) -> Outcome:
    """Measures a row; `size`: bytes of each transfer. Adapter and nginx alternate in going first.

    A round that other work disturbed is repeated, up to `MAX_ROUNDS_FACTOR` times the number of rounds.
    """
    adapter, beside = environment.adapter(case.setting), environment.beside(case.setting)
    for way in (adapter, beside):  # warm-up
        case.sample(environment, way, 1 << 20)
    pairs: list[Pair] = []
    while sum(pair.calm for pair in pairs) < rounds and len(pairs) < MAX_ROUNDS_FACTOR * rounds:
        first, second = (adapter, beside) if len(pairs) % 2 else (beside, adapter)
        samples = {way: case.sample(environment, way, size) for way in (first, second)}
        hashing = _hashed(size)[1] / size * 2**30 if case.setting.verify else 0.0
        pairs.append(Pair(samples[adapter], samples[beside], hashing))
    pairs = chosen(pairs)
    direct = [case.sample(environment, environment.direct(case.setting), size).gigabytes_per_second for _ in range(3)]
    return Outcome(_lines(case, pairs), _limit(pairs, max(direct)))


def _lines(case: Case, pairs: list[Pair]) -> tuple[Line, ...]:
    speed = [pair.ours.gigabytes_per_second for pair in pairs], [pair.theirs.gigabytes_per_second for pair in pairs]
    cpu = [pair.ours.cpu_per_gib for pair in pairs], [pair.theirs.cpu_per_gib + pair.hashing for pair in pairs]
    beside = f"nginx {statistics.median(pair.theirs.cpu_per_gib for pair in pairs):.2f}"
    if case.setting.verify:
        beside += f" + SHA-256 {statistics.median(pair.hashing for pair in pairs):.2f}"
    return (
        Line(
            case.name,
            "GB/s",
            f"{statistics.median(speed[0]):.2f}",
            f"nginx {statistics.median(speed[1]):.2f}",
            ratio_of_pairs(*speed),
            case.throughput,
            "×",
        ),
        Line(case.name, "CPU s/GiB", f"{statistics.median(cpu[0]):.2f}", beside, ratio_of_pairs(*cpu), case.cpu, "×"),
    )


def _limit(pairs: list[Pair], direct: float) -> str:
    """What limits the throughput, derived from the measured load."""
    cores, busy = (statistics.median(each) for each in ([p.ours.cores for p in pairs], [p.ours.busy for p in pairs]))
    calm = all(pair.calm for pair in pairs)
    if not calm:
        reason = "other work on this machine"
    elif busy > 0.9:
        reason = "the machine's cores, which client and sink share"
    elif cores > 0.9:
        reason = "the adapter, of whose threads one is always busy"
    else:
        reason = "steps that wait for each other: no core is full"
    other = statistics.median(pair.theirs.cores for pair in pairs)
    noise = statistics.median(max(pair.ours.others, pair.theirs.others) for pair in pairs)
    disturbed = "" if calm else f"; DISTURBED: other work took {noise:.1f} cores meanwhile"
    return (
        f"{reason} (adapter {cores:.2f} cores, nginx {other:.2f}; machine {busy:.0%} busy; "
        f"client to sink without either {direct:.1f} GB/s at best)"
        f"{disturbed}"
    )


def cases() -> list[Case]:
    """All rows of transfers. Targets apply to single and to concurrent transfers."""
    made: list[Case] = []

    def add(name: str, upload: bool, setting: Setting, speed: float | None, cpu: float | None) -> None:
        bounds = Bound(least=speed, unit="×") if speed else None, Bound(most=cpu, unit="×") if cpu else None
        counts = (1,) if setting.door_tls else (1, CONCURRENT)
        made.extend(Case(f"{name}-{count}", upload, setting, count, *bounds) for count in counts)

    add("upload-tls-check", True, Setting(upstream_tls=True, verify=True), 0.75, 1.15)
    add("upload-tls-nocheck", True, Setting(upstream_tls=True), 0.95, 1.1)
    add("upload-plain-check", True, Setting(upstream_tls=False, verify=True), None, None)
    add("upload-plain-nocheck", True, Setting(upstream_tls=False), 0.9, None)
    add("download-tls", False, Setting(upstream_tls=True), 0.65, 1.5)
    add("download-plain", False, Setting(upstream_tls=False), 0.8, None)
    add("upload-door-check", True, Setting(upstream_tls=True, door_tls=True, verify=True), None, None)
    add("download-door", False, Setting(upstream_tls=True, door_tls=True), None, None)
    return made
