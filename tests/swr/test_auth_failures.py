from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import AccountBlocked, AdapterError, ClockWrong, CredentialsRefused, Unavailable
from adapter.state import MemoryState, State
from adapter.swr.auth_failures import TTL_SECONDS, AuthFailures
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, PROJECT, SECRET_KEY, WRONG_SECRET


def credentials(secret: str = WRONG_SECRET, access_id: str = ACCESS_ID) -> Credentials:
    return parse_credentials(access_id, secret, [PROJECT])


REFUSED = CredentialsRefused("SWR refuses it", swr_code="DENIED", swr_message="Authenticate Error", request_id="r1")


def raised(refusals: AuthFailures, who: Credentials) -> AdapterError | None:
    try:
        refusals.raise_cached(who)
    except AdapterError as error:
        return error
    return None


def test_another_replica_says_the_same() -> None:
    state = MemoryState()
    AuthFailures(state, "registry").remember(credentials(), REFUSED)
    error = raised(AuthFailures(state, "registry"), credentials())
    assert type(error) is CredentialsRefused
    assert (error.sentence, error.of_swr()) == (REFUSED.sentence, REFUSED.of_swr())


def test_a_blocked_account_is_told_as_that() -> None:
    refusals = AuthFailures(MemoryState(), "api")
    refusals.remember(credentials(), AccountBlocked("wait"))
    assert type(raised(refusals, credentials())) is AccountBlocked


@pytest.mark.parametrize(
    "other",
    [credentials(SECRET_KEY), credentials(WRONG_SECRET, f"{PROJECT}@{OTHER_ACCESS_KEY}")],
    ids=["the right secret", "another AK"],
)
def test_it_is_said_to_nobody_else(other: Credentials) -> None:
    refusals = AuthFailures(MemoryState(), "registry")
    refusals.remember(credentials(), REFUSED)
    assert raised(refusals, other) is None


def test_what_one_door_refuses_another_may_take() -> None:
    state = MemoryState()
    AuthFailures(state, "api").remember(credentials(), REFUSED)
    assert raised(AuthFailures(state, "registry"), credentials()) is None


def test_it_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("adapter.state.memory.time.monotonic", lambda: now[0])
    refusals = AuthFailures(MemoryState(), "registry")
    refusals.remember(credentials(), REFUSED)
    now[0] += TTL_SECONDS - 0.1
    assert raised(refusals, credentials())
    now[0] += 0.2
    assert raised(refusals, credentials()) is None


def test_a_wrong_clock_is_this_machines_alone() -> None:
    state = MemoryState()
    refusals = AuthFailures(state, "api")
    refusals.remember(credentials(), ClockWrong("set it"))
    assert type(raised(refusals, credentials())) is ClockWrong
    assert raised(AuthFailures(state, "api"), credentials()) is None


def test_what_is_no_refusal_is_not_kept() -> None:
    refusals = AuthFailures(MemoryState(), "registry")
    refusals.remember(credentials(), Unavailable("SWR is away"))
    assert raised(refusals, credentials()) is None


class Planted:
    """A store whose values somebody else wrote."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def get(self, key: str) -> bytes | None:
        return self._value

    def put(self, key: str, value: bytes, seconds: float) -> None:
        raise AssertionError

    def drop(self, key: str) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"null",
        b"[]",
        b"{}",
        json.dumps({"kind": "Unavailable", "sentence": "x"}).encode(),
        json.dumps({"kind": "Exception", "sentence": "x"}).encode(),
        json.dumps({"kind": ["CredentialsRefused"], "sentence": "x"}).encode(),
        json.dumps({"kind": "CredentialsRefused", "sentence": 1}).encode(),
    ],
)
def test_foreign_values_are_no_answer(value: bytes) -> None:
    state: State = Planted(value)
    assert raised(AuthFailures(state, "registry"), credentials()) is None


def test_only_texts_are_taken_from_a_store() -> None:
    planted = {"kind": "CredentialsRefused", "sentence": "x", "swr_code": {"a": 1}, "headers": {"X": "y"}}
    error = raised(AuthFailures(Planted(json.dumps(planted).encode()), "registry"), credentials())
    assert error is not None
    assert (error.swr_code, error.headers) == (None, {})


def test_no_secret_is_in_a_key_or_value() -> None:
    class Seen(MemoryState):
        def put(self, key: str, value: bytes, seconds: float) -> None:
            written.append(key + value.decode())

    written: list[str] = []
    AuthFailures(Seen(), "registry").remember(credentials(), REFUSED)
    assert written
    assert not any(secret in text for text in written for secret in (WRONG_SECRET, credentials().login_key))


def test_many_threads_get_their_own_answer() -> None:
    refusals = AuthFailures(MemoryState(), "registry")
    people = [credentials(f"{WRONG_SECRET}{number}") for number in range(8)]
    start = threading.Barrier(len(people))

    def work(number: int) -> None:
        start.wait()
        for _ in range(200):
            refusals.remember(people[number], CredentialsRefused(f"refused {number}"))
            error = raised(refusals, people[number])
            assert error is not None
            assert error.sentence == f"refused {number}"

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(work, range(len(people))))
