from __future__ import annotations

import json

import pytest

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import AccountBlocked, AdapterError, ClockWrong, CredentialsRefused, Unavailable
from adapter.state import MemoryState
from adapter.swr.auth_failures import TTL_SECONDS, AuthFailures
from tests.clock import Clock
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, PROJECT, SECRET_KEY, WRONG_SECRET


def credentials(secret: str = WRONG_SECRET, access_id: str = ACCESS_ID) -> Credentials:
    return parse_credentials(access_id, secret, [PROJECT])


REFUSED = CredentialsRefused("SWR refuses it", swr_code="DENIED", swr_message="Authenticate Error", request_id="r1")


def cached(failures: AuthFailures, whose: Credentials) -> AdapterError | None:
    try:
        failures.raise_cached(whose)
    except AdapterError as error:
        return error
    return None


def test_a_failure_is_shared_for_its_credentials_and_listener() -> None:
    state = MemoryState()
    AuthFailures(state, "registry").remember(credentials(), REFUSED)
    error = cached(AuthFailures(state, "registry"), credentials())
    assert type(error) is CredentialsRefused
    assert (error.sentence, error.of_swr()) == (REFUSED.sentence, REFUSED.of_swr())
    assert cached(AuthFailures(state, "api"), credentials()) is None
    for other in (credentials(SECRET_KEY), credentials(WRONG_SECRET, f"{PROJECT}@{OTHER_ACCESS_KEY}")):
        assert cached(AuthFailures(state, "registry"), other) is None


@pytest.mark.parametrize(
    ("error", "here", "elsewhere"),
    [
        (AccountBlocked("wait"), AccountBlocked, AccountBlocked),
        # The clock is wrong on this machine alone.
        (ClockWrong("set it"), ClockWrong, None),
        (Unavailable("SWR is not available"), None, None),
    ],
)
def test_a_failure_keeps_its_kind(
    error: AdapterError, here: type[AdapterError] | None, elsewhere: type[AdapterError] | None
) -> None:
    state = MemoryState()
    failures = AuthFailures(state, "api")
    failures.remember(credentials(), error)
    for each, kind in ((failures, here), (AuthFailures(state, "api"), elsewhere)):
        found = cached(each, credentials())
        assert (type(found) if found else None) is kind


def test_a_failure_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("adapter.state.memory.time", clock)
    failures = AuthFailures(MemoryState(), "registry")
    failures.remember(credentials(), REFUSED)
    clock.now += TTL_SECONDS - 0.1
    assert cached(failures, credentials())
    clock.now += 0.2
    assert cached(failures, credentials()) is None


class Store(MemoryState):
    """Returns one value for every key, and keeps what is written."""

    def __init__(self, value: bytes | None = None) -> None:
        super().__init__()
        self.value = value
        self.written = ""

    def get(self, key: str) -> bytes | None:
        return self.value

    def put(self, key: str, value: bytes, seconds: float) -> None:
        self.written += key + value.decode()


def encoded(kind: object, sentence: object = "x", **fields: object) -> bytes:
    return json.dumps({"kind": kind, "sentence": sentence, **fields}).encode()


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"\xff", b"[" * 100_000, b"null", b"[]", b"{}"),
        *(encoded("Unavailable"), encoded("Exception"), encoded(["CredentialsRefused"])),
        encoded("CredentialsRefused", 1),
    ],
)
def test_an_invalid_value_in_the_store_is_no_failure(value: bytes) -> None:
    assert cached(AuthFailures(Store(value), "registry"), credentials()) is None


def test_fields_in_the_store_other_than_strings_are_left_out() -> None:
    planted = encoded("CredentialsRefused", swr_code={"a": 1}, headers={"X": "y"})
    error = cached(AuthFailures(Store(planted), "registry"), credentials())
    assert error is not None
    assert (error.swr_code, error.headers) == (None, {})


def test_the_store_contains_no_secret() -> None:
    store = Store()
    AuthFailures(store, "registry").remember(credentials(), REFUSED)
    assert store.written
    assert not any(secret in store.written for secret in (WRONG_SECRET, credentials().login_key))
