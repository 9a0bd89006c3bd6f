from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.errors import Throttled
from adapter.swr.budget import Budget


def test_no_second_has_more_than_the_budget() -> None:
    budget = Budget(10)
    taken: list[float] = []

    def take(_: int) -> None:
        budget.take("eu-de/AK", 30)
        taken.append(time.monotonic())

    began = time.monotonic()
    with ThreadPoolExecutor(25) as pool:
        list(pool.map(take, range(25)))
    # Room is left for requests that catch up with others on their way. A thread may be late to say when it might go.
    assert all(at - began > 1.1 * (number // 10) - 0.02 for number, at in enumerate(sorted(taken)))


def test_accounts_do_not_share() -> None:
    budget = Budget(0.1)
    for account in "abc":
        budget.take(account, 0.01)
    with pytest.raises(Throttled) as caught:
        budget.take("a", 0.01)
    assert caught.value.retry_after is not None


def test_none_means_none() -> None:
    budget = Budget(0)
    for _ in range(1000):
        budget.take("a", 0)


def test_less_than_one_a_second() -> None:
    budget = Budget(0.1)
    budget.take("a", 0.01)
    with pytest.raises(Throttled):
        budget.take("a", 1.1)
