"""Many requests that wait for SWR keep no other tenant out."""

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
    """An SWR that responds to known access keys at once, and to others not before `go_on`."""

    def __init__(self, swr: Swr) -> None:
        self.url = swr.url
        self.waiting = 0
        self.token_requests = 0
        """Of known access keys; they are answered while `tokens` is set."""
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
            self.token_requests += 1
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
        # Waiting requests must end before the process does.
        slow.go_on()


@contextmanager
def many(
    adapter: RunningAdapter, number: int, request: Callable[[int], tuple[str, str]]
) -> Iterator[list[socket.socket]]:
    """`number` requests at once, each with a target and credentials."""
    with saying(adapter.contract, number, b"") as opened:
        for index, connection in enumerate(opened):
            target, authorization = request(index)
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
        yield opened


def refusals(opened: list[socket.socket]) -> int:
    """How many have a response by now, all of them 503."""
    readable = select.select(opened, [], [], 0)[0]
    assert all(each.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503" for each in readable)
    return len(readable)


def starts(adapter: RunningAdapter, authorization: str) -> bool:
    """Whether an upload starts; Harbor does not retry its start."""
    return Door(adapter.contract, authorization).ask("POST", "/v2/team/app/blobs/uploads/", b"").status == 202


def manifest(number: int) -> str:
    return f"/v2/team/app/manifests/{number}"


@pytest.mark.parametrize("same", [True, False], ids=["one wrong secret", "made-up secrets"])
def test_unknown_secrets_share_few_slots(adapter: RunningAdapter, slow: Slow, same: bool) -> None:
    assert starts(adapter, ME)

    def ask(number: int) -> tuple[str, str]:
        # A repository each, so that each needs its own token.
        return f"/v2/team/app-{number}/manifests/v1", basic(secret="wrong" if same else f"wrong{number}")

    with many(adapter, MANY, ask) as opened:
        limit = UNPROVEN_CALLS if same else UNPROVEN_CREDENTIALS
        eventually(lambda: refusals(opened) >= MANY - limit)
        assert slow.waiting <= limit
        assert starts(adapter, ME)


def test_unresponsive_region_leaves_slots_to_others(adapter: RunningAdapter, slow: Slow) -> None:
    def ask(number: int) -> tuple[str, str]:
        return "/v2/team/app/manifests/v1", basic(f"{SILENT_PROJECT}@AK{number}", "secret")

    with many(adapter, MANY, ask) as opened:
        eventually(lambda: refusals(opened) >= MANY - UNPROVEN_CREDENTIALS)
        # Their credentials were not known before either.
        assert starts(adapter, ME)
        assert starts(adapter, OTHER)


def test_one_tenant_gets_a_hundred_slots_and_not_all(adapter: RunningAdapter, slow: Slow) -> None:
    assert starts(adapter, ME)
    with many(adapter, MANY, lambda number: (manifest(number), ME)) as opened:
        eventually(lambda: slow.waiting + refusals(opened) == MANY)
        assert 100 <= slow.waiting <= CALLS * 3 // 4 + 1
        refused(Door(adapter.contract).ask("GET", manifest(0)), 503, f"of {CALLS} requests", "reserved for others")
        assert starts(adapter, OTHER)
        slow.go_on()
    eventually(lambda: starts(adapter, ME))


def test_two_tenants_get_a_hundred_slots_each(adapter: RunningAdapter, slow: Slow) -> None:
    """As two Harbors that list at the same time."""
    assert starts(adapter, ME)
    assert starts(adapter, OTHER)
    with (
        many(adapter, 100, lambda number: (manifest(number), ME)) as mine,
        many(adapter, 100, lambda number: (manifest(number), OTHER)) as others,
    ):
        eventually(lambda: slow.waiting + refusals([*mine, *others]) == 200)
        assert slow.waiting == 200


def test_accepted_credentials_leave_the_slots_for_unproven_ones(adapter: RunningAdapter, slow: Slow) -> None:
    """SWR accepts them and then does not respond: unknown credentials still get slots."""
    burst, more = UNPROVEN_CALLS * 6 // 10, UNPROVEN_CALLS * 3 // 10
    slow.tokens.clear()
    with many(adapter, burst, lambda number: (f"/v2/team/m{number}/manifests/v1", ME)):
        eventually(lambda: slow.token_requests == burst)
        slow.tokens.set()
        eventually(lambda: slow.waiting == burst)
        made_up = basic(secret="wrong")
        with many(adapter, more, lambda number: (f"/v2/team/a{number}/manifests/v1", made_up)):
            eventually(lambda: slow.waiting == burst + more)


def test_health_check_is_served_while_made_up_credentials_request_it(adapter: RunningAdapter, slow: Slow) -> None:
    door = Door(adapter.contract)
    assert door.ask("GET", "/v2/").status == 200
    numbers = count()
    with many(adapter, 60, lambda _: ("/v2/", basic(f"{PROJECT}@AK{next(numbers)}", "made-up"))) as opened:
        eventually(lambda: refusals(opened) >= 60 - UNPROVEN_CHECKS)
        assert door.ask("GET", "/v2/").status == 200
        assert door.ask("GET", "/api/version").status == 200
    assert CHECKS > UNPROVEN_CHECKS


def test_malformed_credentials_hold_no_slot(adapter: RunningAdapter, slow: Slow) -> None:
    share = UNPROVEN_CALLS - UNPROVEN_CALLS // 4
    with many(adapter, share, lambda number: (f"/v2/team/a{number}/manifests/v1", basic(secret="x"))):
        eventually(lambda: slow.waiting == share)
        for authorization in ("Basic ???", "Bearer x", basic("no-at", "x"), basic("eu-xx@AK", "x")):
            for number in range(UNPROVEN_CALLS // 4 + 1):
                refused(Door(adapter.contract, authorization).ask("GET", manifest(number)), 401)


# Slots alone


def credentials(access_key: str, project: str = PROJECT) -> Credentials:
    return parse_credentials(f"{project}@{access_key}", "secret", [project.partition("_")[0]])


def reserved(slots: Slots, owner: Callable[[int], Credentials], limit: int = 1000) -> int:
    """Reserves and keeps slots until `Busy`, and returns how many."""
    for number in range(limit):
        try:
            slots.reserve(owner(number))
        except Busy:
            return number
    return limit


@pytest.mark.parametrize("number", [1, 2, 3, 4, 8, 32, 168])
def test_last_quarter_is_reserved_for_small_holders(number: int) -> None:
    slots = Slots(number, "transfers")
    mine = reserved(slots, lambda _: credentials("A"))
    assert mine == number - number // 4
    rest = number - mine
    if rest:
        assert reserved(slots, lambda _: credentials("B")) >= 1
    assert reserved(slots, lambda each: credentials(f"C{each}")) <= rest


@pytest.mark.parametrize("tenants", [{}, {"acme": [f"A{number}" for number in range(1000)]}], ids=["project", "AK"])
def test_projects_and_access_keys_of_a_tenant_count_together(tenants: dict[str, list[str]]) -> None:
    slots = Slots(32, "requests", tenants=Tenants(tenants))

    def owner(number: int) -> Credentials:
        return credentials(f"A{number}") if tenants else credentials("A", f"{PROJECT}_{number}")

    assert reserved(slots, owner) == 24
    assert reserved(slots, lambda _: credentials("B")) == 2


def test_made_up_secret_uses_no_slots_of_the_access_key() -> None:
    slots = Slots(32, "requests", credentials=32)
    assert reserved(slots, lambda _: parse_credentials(f"{PROJECT}@A", "made-up", [PROJECT])) == 24
    assert reserved(slots, lambda _: credentials("A")) == 2


def test_number_of_unproven_credentials_with_slots_is_limited() -> None:
    slots = Slots(128, "requests", credentials=16)
    held = [slots.reserve(credentials(f"A{number}")) for number in range(14)]
    with pytest.raises(Busy, match="14 requests of 14 different credentials"):
        slots.reserve(credentials("A14"))
    more = [slots.reserve(credentials("A0")) for _ in range(20)]
    for each in (*held[1:], *more):
        each.release()
    assert reserved(slots, lambda each: credentials(f"B{each}")) == 13
    assert reserved(slots, lambda each: credentials(f"C{each}", "eu-nl")) == 1


@pytest.mark.parametrize("number", [32, 168])
def test_last_eighth_is_reserved_for_other_regions(number: int) -> None:
    slots = Slots(number, "transfers")
    assert reserved(slots, lambda each: credentials(f"A{each}", "eu-silent")) == number - number // 8
    assert reserved(slots, lambda _: credentials("B")) == number // 16


def test_slot_is_released_once_and_nothing_remains() -> None:
    slots = Slots(2, "transfers")
    first, second = slots.reserve(credentials("A")), slots.reserve(credentials("B"))
    with pytest.raises(Busy, match="all 2 transfers are in progress"):
        slots.reserve(credentials("C"))
    first.release()
    first.release()
    with slots.reserve(credentials("C")), pytest.raises(Busy):
        slots.reserve(credentials("A"))
    second.release()
    assert not slots._held_by
    assert slots._reserved == 0


def test_limit_of_a_tenant() -> None:
    slots = Slots(32, "transfers", tenants=Tenants({"acme": ["A", "B"]}), per_tenant=5)
    assert reserved(slots, lambda each: credentials("AB"[each % 2])) == 5
    with pytest.raises(Busy, match="SWR_ADAPTER_TRANSFERS_PER_TENANT") as caught:
        slots.reserve(credentials("B"))
    assert caught.value.retry_after
    assert reserved(slots, lambda _: credentials("C")) == 5
    assert reserved(slots, lambda _: credentials("A", "eu-nl")) == 5
