"""Answers that Harbor's core does not give, but what answers at its address may."""

from __future__ import annotations

import pytest

from tests.conftest import StartAdapter
from tests.provider.harness import API, NAME, SCRIPT, Client
from tests.provider.rawcore import raw_core, says
from tests.provider.test_faults import InFrontOf, in_front_of, message

__all__ = ["in_front_of"]

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: 2\r\n\r\n[]"
CHUNKED = b"Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n2\r\n[]\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        JSON + CHUNKED,
        JSON + b"Content-Length: -5\r\n\r\n[]",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + JSON + LENGTH,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + JSON + LENGTH,
        JSON.replace(b"1.1", b"1.0") + b"\r\n[]",
        JSON.replace(b"OK", b"\xe9t\xe9") + LENGTH,
        JSON + b"X-Folded: a\r\n b\r\n" + LENGTH,
    ],
    ids=["two lengths", "less than nothing", "hints", "two before", "old", "reason", "folded"],
)
def test_odd_answers_are_understood(answer: bytes, another: StartAdapter) -> None:
    with raw_core(says(answer)) as url:
        portal = Client(another(harbor_core_url=url).provider)
        translated, passed = portal.get("/replication/adapters"), portal.get("/replication/adapters", SCRIPT)
    assert (translated.status, translated.json()) == (200, [NAME])
    assert (passed.status, passed.body) == (200, b"[]")
    assert passed.header("Content-Length") in (None, "2")
    assert passed.header("X-Folded") == ("a  b" if b"Folded" in answer else None)


@pytest.mark.parametrize("value", [b"a\x01b", b"a\x00", b"\x7f"])
def test_a_header_that_nobody_may_send(value: bytes, another: StartAdapter) -> None:
    with raw_core(says(JSON + b"X-A: " + value + b"\r\n" + LENGTH)) as url:
        got = Client(another(harbor_core_url=url).provider).get("/replication/adapters")
    assert (got.status, got.message()) == (502, "the answer of Harbor's core makes no sense: BadHeader")


def test_after_hints_there_has_to_be_an_answer(another: StartAdapter) -> None:
    with raw_core(says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")) as url:
        got = Client(another(harbor_core_url=url).provider).get("/replication/adapters")
    assert (got.status, "Harbor's core" in got.message()) == (502, True)


OK = b"HTTP/1.1 200 OK\r\n"
REST = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"X(Name): 1\r\n" + REST,
        OK + b"X Name: 1\r\n" + REST,
        OK + b"X-Name : 1\r\n" + REST,
        OK + b"X-N\xe4me: 1\r\n" + REST,
        OK + b": 1\r\n" + REST,
        OK + b"nonsense\r\n" + REST,
        OK + b"From nobody\r\n" + REST,
        OK + b" folded: under nothing\r\n" + REST,
        OK + b"X-Name: a\rX-Other b\r\n" + REST,
        OK + b"Content-Type: message/rfc822\r\nnonsense\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 100 Continue\r\nnonsense\r\n\r\n" + OK + REST,
    ],
)
@pytest.mark.parametrize("path", ["/replication/adapters", "/systeminfo"])
def test_headers_that_are_none(path: str, answer: bytes, in_front_of: InFrontOf) -> None:
    """http.client would lose them, and what follows them with them: a length, a cookie."""
    with raw_core(says(answer)) as url:
        response = in_front_of(url).get(API + path, buffered=True)
    assert (response.status_code, message(response)) == (502, "the answer of Harbor's core makes no sense: BadHeader")


@pytest.mark.parametrize("kind", [b"message/rfc822", b"multipart/mixed; boundary=x", b"multipart/mixed"])
def test_every_name_and_type_that_can_be_one_passes(kind: bytes, in_front_of: InFrontOf) -> None:
    name = b"X!#$%&'*+.^_`|~09"
    head = OK + name + b":1\r\n folded\r\nX-Empty:\r\nContent-Type: " + kind + b"\r\n"
    with raw_core(says(head + b"Content-Length: 2\r\n\r\n[]")) as url:
        response = in_front_of(url).get(f"{API}/systeminfo", buffered=True)
    assert (response.status_code, response.data) == (200, b"[]")
    shown = [response.headers[each] for each in (name.decode(), "X-Empty", "Content-Type")]
    assert shown == ["1  folded", "", kind.decode()]


@pytest.mark.parametrize("path", ["/replication/adapters", "/systeminfo"])
def test_core_cannot_change_the_protocol(path: str, in_front_of: InFrontOf) -> None:
    with raw_core(says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")) as url:
        response = in_front_of(url).get(API + path, buffered=True)
    assert response.status_code == 502
    assert message(response) == "the answer of Harbor's core makes no sense: UnknownProtocol"
