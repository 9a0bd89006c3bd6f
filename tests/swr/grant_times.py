"""When requests may go by a rate limit, as its tests see it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from adapter.swr.rate_limit import RateLimit


def grant_times(limits: list[RateLimit], count: int) -> list[float]:
    """When each of `count` requests might go, in seconds, as it turned out: a thread may be late to say so."""
    began = time.monotonic()
    taken: list[float] = []

    def take(number: int) -> None:
        limits[number % len(limits)].take("eu-de/AK", 30)
        taken.append(time.monotonic() - began)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(take, range(count)))
    return sorted(taken)


def keeps_to_ten_a_second(taken: list[float]) -> bool:
    return all(at > 1.1 * (number // 10) - 0.02 for number, at in enumerate(taken))
