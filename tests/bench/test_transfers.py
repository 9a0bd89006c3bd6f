"""Which samples count. What they say is the machine's business."""

from __future__ import annotations

from tests.bench.table import Sample
from tests.bench.transfers import DISTURBED, Pair, chosen, digest_of_zeros


def pair(ours: float, theirs: float) -> Pair:
    """By the cores that other work took."""
    return Pair(Sample(1, 1, 1, others=ours), Sample(1, 1, 1, others=theirs), 0.0)


CALM, DISTURBED_HERE, DISTURBED_THERE = pair(0, DISTURBED), pair(1, 0), pair(0, 1)


def test_a_pair_is_disturbed_when_either_side_was() -> None:
    assert CALM.calm
    assert not DISTURBED_HERE.calm
    assert not DISTURBED_THERE.calm


def test_only_calm_pairs_count() -> None:
    assert chosen([CALM, DISTURBED_HERE]) == [CALM]


def test_where_hardly_one_is_calm_all_count() -> None:
    several = [CALM, DISTURBED_HERE, DISTURBED_THERE]
    assert chosen(several) == several


def test_the_digest_is_that_of_the_bytes_that_are_sent() -> None:
    # printf '\0\0\0' | sha256sum
    assert digest_of_zeros(3) == "sha256:709e80c88487a2411e1ee4dfb9f22a861492d20c4765150c0c794abd70f8147c"
