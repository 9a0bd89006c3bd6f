from __future__ import annotations

import pytest

from adapter.errors import Throttled
from adapter.swr.budget import Budget
from tests.swr.takings import keeps_to_ten_a_second, takings


def test_no_second_has_more_than_the_budget() -> None:
    # Room is left for requests that catch up with others on their way.
    assert keeps_to_ten_a_second(takings([Budget(10)], 25))


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
