"""All that the door asks for one request shares the time that nginx gives it."""

from __future__ import annotations

import socket
import time

import pytest

from adapter.provider import lookups
from tests.credentials import ACCESS_ID
from tests.provider.harness import API, NAME, PUBLIC_URL
from tests.provider.rawcore import Behaviour, raw_core, says
from tests.provider.test_faults import JSON, SOON, InFrontOf, in_front_of, message

__all__ = ["in_front_of"]

STORED = b'{"id":4,"type":"harbor","url":"%b","credential":{"access_key":"%b"}}' % (
    PUBLIC_URL.encode(),
    ACCESS_ID.encode(),
)
INFO = b'{"type":"harbor"}'
CHANGE = {"url": "https://swr.eu-de.otc.t-systems.com"}
LATE = "Harbor's core did not answer in time"


def after(seconds: float, body: bytes) -> Behaviour:
    def behave(connection: socket.socket, _: bytes) -> None:
        time.sleep(seconds)
        connection.sendall(JSON + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    return behave


def test_a_look_up_and_a_write_share_their_time(in_front_of: InFrontOf) -> None:
    """Each of them would be in time alone: there are three seconds for both."""
    with raw_core(after(1.6, STORED), after(1.6, b"{}")) as url:
        response = in_front_of(url, connect=0.5, answer=2.5).put(f"{API}/registries/4", json=CHANGE)
    assert (response.status_code, message(response)) == (502, LATE)
    with raw_core(after(0, STORED), after(1.6, b"{}")) as url:
        assert (
            in_front_of(url, connect=0.5, answer=2.5).put(f"{API}/registries/4", json=CHANGE, buffered=True).status_code
            == 200
        )


def test_capabilities_and_their_look_up_share_their_time(in_front_of: InFrontOf) -> None:
    """What cannot be looked up is shown as core has it."""
    with raw_core(after(1.6, INFO), after(1.6, STORED)) as url:
        assert in_front_of(url, connect=0.5, answer=2.5).get(f"{API}/registries/4/info").json == {"type": "harbor"}
    with raw_core(after(0, INFO), after(1.6, STORED)) as url:
        assert in_front_of(url, connect=0.5, answer=2.5).get(f"{API}/registries/4/info").json == {"type": NAME}


def test_a_look_up_leaves_time_for_the_write(monkeypatch: pytest.MonkeyPatch, in_front_of: InFrontOf) -> None:
    monkeypatch.setattr(lookups, "LONGEST", 0.1)
    with raw_core(after(0.7, STORED), says(JSON + b"Content-Length: 0\r\n\r\n")) as url:
        response = in_front_of(url, **SOON).put(f"{API}/registries/4", json=CHANGE)
    assert (response.status_code, message(response)) == (502, LATE)


def test_core_has_no_more_time_when_swr_took_it_all(monkeypatch: pytest.MonkeyPatch, in_front_of: InFrontOf) -> None:
    calls: list[bytes] = []
    monkeypatch.setattr("adapter.swr.client.SwrClient.check", lambda *_: time.sleep(1.0))
    with raw_core(after(0, b"[]"), lambda _, request: calls.append(request)) as url:
        credential = {"access_key": ACCESS_ID, "access_secret": "x"}
        response = in_front_of(url, **SOON).post(
            f"{API}/registries", json={"type": NAME, **CHANGE, "credential": credential}
        )
    assert (response.status_code, message(response), calls) == (502, LATE, [])


def test_the_times_fit_into_nginxs_minute() -> None:
    from adapter.provider.core_client import CoreClient

    begun = time.monotonic()
    assert begun + 50 < CoreClient("http://core:8080", None).until() < begun + 58
