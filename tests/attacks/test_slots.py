"""Many requests that wait for SWR, of whoever sends them, keep no other account out."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from adapter.contract.concurrency import CALLS, CHECKS, UNPROVEN_CALLS, UNPROVEN_CHECKS, UNPROVEN_CREDENTIALS, Slots
from adapter.credentials import Credentials, parse_credentials
from adapter.errors import Busy
from adapter.swr.tenants import Tenants
from tests.contract.http import Door, eventually, refused, saying
from tests.credentials import ACCESS_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY, basic
from tests.running import RunningAdapter, running_adapter
from tests.swr.scripted import TOKEN_PATH, Swr, jwt

SILENT_PROJECT = "eu-silent"
ME = basic()
OTHER = basic(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY)
MANY = 230


class Slow:
    """An SWR that answers at once whom it knows, and others, or whatever a test says, not before `go_on`."""

    def __init__(self, swr: Swr) -> None:
        self.url = swr.url
        self.waiting = 0
        self.asked_for_tokens = 0
        """By those whom it knows; they get them while `tokens` is set."""
        self.tokens = threading.Event()
        self.tokens.set()
        self._lock = threading.Lock()
        self._go_on = threading.Event()
        swr.answer("GET", TOKEN_PATH, self._token)
        swr.answer("POST", "/v2/team/app/blobs/uploads/", self._upload)
        swr.answer("GET", "/v2/manage/namespaces", {"namespaces": []})
        for number in range(MANY):
            swr.answer("GET", f"/v2/team/app/manifests/{number}", self._hang)
            swr.answer("GET", f"/v2/team/m{number}/manifests/v1", self._hang)

    def go_on(self) -> None:
        self._go_on.set()

    def _hang(self, _: Request) -> Response:
        with self._lock:
            self.waiting += 1
        self._go_on.wait(60)
        with self._lock:
            self.waiting -= 1
        return Response('{"errors": [{"code": "DENIED", "message": "Authenticate Error"}]}', 401)

    def _token(self, request: Request) -> Response:
        authorization = request.authorization
        assert authorization is not None
        known = {parse(ME).login_key, parse(OTHER).login_key}
        if authorization.password not in known or not str(authorization.username).startswith(f"{PROJECT}@"):
            return self._hang(request)
        with self._lock:
            self.asked_for_tokens += 1
        self.tokens.wait(60)
        return Response(json.dumps({"token": jwt()}))

    @staticmethod
    def _upload(_: Request) -> Response:
        return Response(status=202, headers={"Location": "/v2/team/app/blobs/uploads/x?_state=y"})


def parse(authorization: str) -> Credentials:
    secrets = {ME: (ACCESS_KEY, SECRET_KEY), OTHER: (OTHER_ACCESS_KEY, OTHER_SECRET_KEY)}
    access_key, secret = secrets[authorization]
    return parse_credentials(f"{PROJECT}@{access_key}", secret, [PROJECT])


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as running:
        yield running


@pytest.fixture
def slow(server: HTTPServer) -> Iterator[Slow]:
    slow = Slow(Swr(server))
    yield slow
    slow.go_on()
    server.clear()


@pytest.fixture
def adapter(slow: Slow) -> Iterator[RunningAdapter]:
    regions = {name: {"registry": slow.url, "api": slow.url} for name in (PROJECT, SILENT_PROJECT)}
    with running_adapter(regions, grace_period=1) as running:
        yield running
        # What waits must end before the process does.
        slow.go_on()


@contextmanager
def many(
    adapter: RunningAdapter, number: int, request: Callable[[int], tuple[str, str]]
) -> Iterator[list[socket.socket]]:
    """So many requests at once, each a target and its credentials."""
    with saying(adapter.contract, number, b"") as opened:
        for index, connection in enumerate(opened):
            target, authorization = request(index)
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
        yield opened


def refusals(opened: list[socket.socket]) -> int:
    """How many are answered by now, all of them with 503."""
    readable = select.select(opened, [], [], 0)[0]
    assert all(each.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503" for each in readable)
    return len(readable)


def starts(adapter: RunningAdapter, authorization: str) -> bool:
    """Whether an upload of the account starts, which Harbor does not repeat rightly."""
    return Door(adapter.contract, authorization).ask("POST", "/v2/team/app/blobs/uploads/", b"").status == 202


def manifest(number: int) -> str:
    return f"/v2/team/app/manifests/{number}"


@pytest.mark.parametrize("same", [True, False], ids=["one wrong secret", "made-up secrets"])
def test_secrets_that_swr_does_not_know_share_a_few_slots(adapter: RunningAdapter, slow: Slow, same: bool) -> None:
    assert starts(adapter, ME)

    def ask(number: int) -> tuple[str, str]:
        # A repository each, for a token each.
        return f"/v2/team/app-{number}/manifests/v1", basic(secret="wrong" if same else f"wrong{number}")

    with many(adapter, MANY, ask) as opened:
        most = UNPROVEN_CALLS if same else UNPROVEN_CREDENTIALS
        eventually(lambda: refusals(opened) >= MANY - most)
        assert slow.waiting <= most
        assert starts(adapter, ME)


def test_a_silent_region_leaves_slots_to_others(adapter: RunningAdapter, slow: Slow) -> None:
    def ask(number: int) -> tuple[str, str]:
        return "/v2/team/app/manifests/v1", basic(f"{SILENT_PROJECT}@AK{number}", "secret")

    with many(adapter, MANY, ask) as opened:
        eventually(lambda: refusals(opened) >= MANY - UNPROVEN_CREDENTIALS)
        # Not even their credentials were known before.
        assert starts(adapter, ME)
        assert starts(adapter, OTHER)


def test_one_account_gets_a_hundred_slots_and_not_all(adapter: RunningAdapter, slow: Slow) -> None:
    assert starts(adapter, ME)
    with many(adapter, MANY, lambda number: (manifest(number), ME)) as opened:
        eventually(lambda: slow.waiting + refusals(opened) == MANY)
        assert 100 <= slow.waiting <= CALLS * 3 // 4 + 1
        refused(Door(adapter.contract).ask("GET", manifest(0)), 503, f"of {CALLS} requests", "reserved for others")
        # Neither by one that SWR accepted before nor by one that comes now.
        assert starts(adapter, OTHER)
        slow.go_on()
    eventually(lambda: starts(adapter, ME))


def test_two_accounts_get_a_hundred_slots_each(adapter: RunningAdapter, slow: Slow) -> None:
    """As two Harbors list, whose rules run at the same hour."""
    assert starts(adapter, ME)
    assert starts(adapter, OTHER)
    with (
        many(adapter, 100, lambda number: (manifest(number), ME)) as mine,
        many(adapter, 100, lambda number: (manifest(number), OTHER)) as others,
    ):
        eventually(lambda: slow.waiting + refusals([*mine, *others]) == 200)
        assert slow.waiting == 200


def test_a_burst_of_one_account_moves_out_of_the_slots_of_the_unproven(adapter: RunningAdapter, slow: Slow) -> None:
    """SWR accepts them and then answers nothing: who is not known yet still gets in."""
    burst, more = UNPROVEN_CALLS * 6 // 10, UNPROVEN_CALLS * 3 // 10
    slow.tokens.clear()
    with many(adapter, burst, lambda number: (f"/v2/team/m{number}/manifests/v1", ME)):
        eventually(lambda: slow.asked_for_tokens == burst)
        slow.tokens.set()
        eventually(lambda: slow.waiting == burst)
        made_up = basic(secret="wrong")
        with many(adapter, more, lambda number: (f"/v2/team/a{number}/manifests/v1", made_up)):
            eventually(lambda: slow.waiting == burst + more)


def test_the_health_check_is_answered_while_made_up_credentials_ask_for_it(adapter: RunningAdapter, slow: Slow) -> None:
    door = Door(adapter.contract)
    assert door.ask("GET", "/v2/").status == 200
    numbers = count()
    with many(adapter, 60, lambda _: ("/v2/", basic(f"{PROJECT}@AK{next(numbers)}", "made-up"))) as opened:
        eventually(lambda: refusals(opened) >= 60 - UNPROVEN_CHECKS)
        assert door.ask("GET", "/v2/").status == 200
        assert door.ask("GET", "/api/version").status == 200
    assert CHECKS > UNPROVEN_CHECKS


def test_credentials_of_the_wrong_form_take_no_slot(adapter: RunningAdapter, slow: Slow) -> None:
    share = UNPROVEN_CALLS - UNPROVEN_CALLS // 4
    with many(adapter, share, lambda number: (f"/v2/team/a{number}/manifests/v1", basic(secret="x"))):
        eventually(lambda: slow.waiting == share)
        for authorization in ("Basic ???", "Bearer x", basic("no-at", "x"), basic("eu-xx@AK", "x")):
            for number in range(UNPROVEN_CALLS // 4 + 1):
                refused(Door(adapter.contract, authorization).ask("GET", manifest(number)), 401)


# Slots by themselves


def credentials(access_key: str, project: str = PROJECT) -> Credentials:
    return parse_credentials(f"{project}@{access_key}", "secret", [project.partition("_")[0]])


def taken(slots: Slots, whose: Callable[[int], Credentials], most: int = 1000) -> int:
    """How many slots can be taken, and kept."""
    for number in range(most):
        try:
            slots.take(whose(number))
        except Busy:
            return number
    return most


@pytest.mark.parametrize("number", [1, 2, 3, 4, 8, 32, 168])
def test_the_last_quarter_is_for_those_who_hold_few(number: int) -> None:
    slots = Slots(number, "transfers")
    mine = taken(slots, lambda _: credentials("A"))
    assert mine == number - number // 4
    rest = number - mine
    if rest:
        assert taken(slots, lambda _: credentials("B")) >= 1
    assert taken(slots, lambda each: credentials(f"C{each}")) <= rest


@pytest.mark.parametrize("tenants", [{}, {"acme": [f"A{number}" for number in range(1000)]}], ids=["project", "AK"])
def test_many_projects_or_access_keys_of_a_tenant_are_one(tenants: dict[str, list[str]]) -> None:
    slots = Slots(32, "requests", tenants=Tenants(tenants))

    def whose(number: int) -> Credentials:
        return credentials(f"A{number}") if tenants else credentials("A", f"{PROJECT}_{number}")

    assert taken(slots, whose) == 24
    assert taken(slots, lambda _: credentials("B")) == 2


def test_nobody_takes_the_slots_of_an_access_key_by_its_name() -> None:
    slots = Slots(32, "requests", credentials=32)
    assert taken(slots, lambda _: parse_credentials(f"{PROJECT}@A", "made-up", [PROJECT])) == 24
    assert taken(slots, lambda _: credentials("A")) == 2


def test_few_unproven_credentials_hold_slots_at_once() -> None:
    slots = Slots(128, "requests", credentials=16)
    held = [slots.take(credentials(f"A{number}")) for number in range(14)]
    with pytest.raises(Busy, match="14 requests of 14 different credentials"):
        slots.take(credentials("A14"))
    more = [slots.take(credentials("A0")) for _ in range(20)]
    for each in (*held[1:], *more):
        each.release()
    assert taken(slots, lambda each: credentials(f"B{each}")) == 13
    assert taken(slots, lambda each: credentials(f"C{each}", "eu-nl")) == 1


@pytest.mark.parametrize("number", [32, 168])
def test_the_last_eighth_is_for_other_regions(number: int) -> None:
    slots = Slots(number, "transfers")
    assert taken(slots, lambda each: credentials(f"A{each}", "eu-silent")) == number - number // 8
    assert taken(slots, lambda _: credentials("B")) == number // 16


def test_a_slot_is_given_back_once_and_nothing_is_kept() -> None:
    slots = Slots(2, "transfers")
    first, second = slots.take(credentials("A")), slots.take(credentials("B"))
    with pytest.raises(Busy, match="all 2 transfers are in progress"):
        slots.take(credentials("C"))
    first.release()
    first.release()
    with slots.take(credentials("C")), pytest.raises(Busy):
        slots.take(credentials("A"))
    second.release()
    assert not slots._held
    assert slots._taken == 0


def test_a_tenant_has_a_limit_of_its_own() -> None:
    slots = Slots(32, "transfers", tenants=Tenants({"acme": ["A", "B"]}), per_tenant=5)
    assert taken(slots, lambda each: credentials("AB"[each % 2])) == 5
    with pytest.raises(Busy, match="SWR_ADAPTER_TRANSFERS_PER_TENANT") as caught:
        slots.take(credentials("B"))
    assert caught.value.retry_after
    assert taken(slots, lambda _: credentials("C")) == 5
    assert taken(slots, lambda _: credentials("A", "eu-nl")) == 5
