"""Client, adapter, SWR and object store with a proxy on each way between them, and what must hold after a fault."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import ssl
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import trustme

from tests.contract.http import Answer, Door, digest_of, eventually
from tests.credentials import ACCESS_ID, LOGIN_KEY, PROJECT, basic
from tests.faults.faults import Fault, Order
from tests.faults.forwarder import tls_in_front_of
from tests.faults.proxy import FaultProxy
from tests.running import TENANT, RunningAdapter, RunningSandbox, running_adapter

ORGANIZATION = "team"
TIMEOUT = 20.0
"""Longest wait of a client in seconds; a client that waits so long has found a defect."""
IDLE = 2
"""The adapter's CLIENT_IDLE_TIMEOUT, in seconds: short, because tests wait for it."""

LARGE = random.Random(6).randbytes((1 << 20) + 177_777)
"""Several blocks, however the adapter cuts them."""
SMALL = LARGE[:1000]

PLACES: dict[str, Callable[[int], int]] = {
    "0": lambda size: 0,
    "1": lambda size: min(1, size - 1),
    "middle": lambda size: size // 2,
    "last - 1": lambda size: max(0, size - 2),
}

_numbers = itertools.count(1)


class _Lines:
    """A file that tells whether the last line read was empty, but for its end."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.ended = False

    def readline(self, *limit: int) -> bytes:
        line: bytes = self._file.readline(*limit)
        self.ended = line == b"\r\n"
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class WholeAnswer(http.client.HTTPResponse):
    """As Go's client has it: a head that ends with the connection is no answer, whatever stood in it."""

    def begin(self) -> None:
        lines = _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]
        super().begin()
        if not lines.ended:
            raise http.client.IncompleteRead(b"")


class StrictDoor(Door):
    """The contract door, to a client that believes whole answers only."""

    def connect(self, timeout: float = TIMEOUT) -> http.client.HTTPConnection:
        connection = super().connect(timeout)
        connection.response_class = WholeAnswer
        return connection


class Log:
    """What the adapter prints, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self._file = path.open()
        self._text = ""
        self._lock = threading.Lock()
        self.traces = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def clear(self) -> None:
        """Only what comes from now on counts."""
        self.text()
        self._text = ""

    def text(self) -> str:
        """`traces` counts the stack traces in all that was read."""
        with self._lock:
            more = self._file.read()
            self.traces += more.count("Traceback")
            self._text += more
            return self._text

    def requests(self, repository: str) -> int:
        """The requests about a repository with which the adapter is done."""
        return sum(f"/v2/{repository}/" in line and '"message": "request"' in line for line in self.text().splitlines())


@dataclass(frozen=True)
class Harness:
    """`front` is before the adapter, `back` between it and SWR's registry, `objects` before the object store.

    With TLS somewhere the proxies are below it: `front` and `back` then see no HTTP.
    """

    adapter: RunningAdapter
    swr: RunningSandbox
    front: FaultProxy
    back: FaultProxy
    objects: FaultProxy
    door: Door
    log: Log
    rules: list[dict[str, object]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def direct(self) -> Door:
        """Past the proxy, which holds a head back until it is complete."""
        return Door(self.adapter.contract)

    @property
    def proxies(self) -> dict[str, FaultProxy]:
        return {"front": self.front, "back": self.back, "objects": self.objects}

    def order(self, where: str, fault: Fault) -> Order:
        return self.proxies[where].order(fault)

    @contextlib.contextmanager
    def without_traces(self) -> Iterator[None]:
        """Asserts that the block makes the adapter log no stack trace."""
        before = self.log.traces
        yield
        text = self.log.text()
        assert self.log.traces == before, text[-5000:]

    def calm(self) -> None:
        for proxy in self.proxies.values():
            proxy.calm()

    def begin(self, **knobs: object) -> None:
        """Everything as at the start, with these knobs at SWR."""
        self.calm()
        self.log.clear()
        self.rules.clear()
        self.swr.reset(**knobs)
        self.swr.store.create_organization(ORGANIZATION, TENANT)

    @staticmethod
    def repository() -> str:
        """A repository that no other test has touched; no name is part of another."""
        return f"{ORGANIZATION}/app{next(_numbers):06}"

    def ask(self, call: Callable[[Door], Answer]) -> Answer | None:
        """The answer, or None when the connection broke before or in it. That it stays away is a failure."""
        try:
            return call(self.door)
        except TimeoutError:
            raise AssertionError(f"no answer and no end within {TIMEOUT:g} s") from None
        except (OSError, http.client.HTTPException):
            return None

    def settled(self, repository: str, count: int | None = None) -> None:
        """Waits until the adapter is done with so many requests about a repository, and SWR with all that it got.

        Without a count, with all that went to it through the front.
        """
        if count is None:
            links = list(self.front.links)
            asked = [each for link in links for each in link.asked if repository in each.target]
            eventually(lambda: all(each.passed is not None for each in asked), TIMEOUT)
            count = sum(each.passed is True for each in asked)
        eventually(lambda: self.log.requests(repository) >= count, TIMEOUT)
        eventually(lambda: all(entry["status"] is not None for entry in self.swr.journal()), TIMEOUT)

    def settled_after(self, order: Order, repository: str) -> None:
        """The same, once the fault has acted."""
        assert order.acted.wait(TIMEOUT)
        self.settled(repository)

    def blobs(self, repository: str) -> list[str]:
        """The digests under which SWR holds something."""
        folder = self.swr.store.blob_path(repository, digest_of(b"")).parent
        return sorted(f"sha256:{file.name}" for file in folder.iterdir()) if folder.exists() else []

    def pass_blobs_through(self, repository: str, digest: str) -> None:
        """Has SWR redirect downloads of this blob to the proxy before its object store."""
        link = urllib.parse.urlsplit(_link(self.swr, repository, digest))
        location = f"http://127.0.0.1:{self.objects.port}{link.path}?{link.query}"
        path = f"/{repository}/blobs/{digest}$"
        rule = {"origin": "registry", "path": path, "method": "GET", "status": 307, "times": 0}
        with self.lock:
            self.rules.append({**rule, "headers": {"Location": location}})
            self.swr.faults(*self.rules)

    def let_go(self, repository: str) -> None:
        """Waits until the adapter has closed each connection to SWR on which it had begun a body and not ended it."""
        links = [link for method in ("PUT", "PATCH") for link in self.back.with_request(method, repository)]
        eventually(lambda: not any(link.unfinished for link in links), TIMEOUT)

    def nothing_was_late(self) -> None:
        """No request was begun on a connection that had ended."""
        late = [
            asked for proxy in self.proxies.values() for link in list(proxy.links) for asked in link.asked if asked.late
        ]
        assert not late


def _link(swr: RunningSandbox, repository: str, digest: str) -> str:
    """A pre-signed address of a blob in the object store."""
    scope = urllib.parse.urlencode({"service": "dockyard", "scope": f"repository:{repository}:pull"})
    request = urllib.request.Request(f"{swr.registry}/swr/auth/v2/registry/auth/?{scope}")
    request.add_header("Authorization", basic(ACCESS_ID, LOGIN_KEY))
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        token = json.load(answer)["token"]
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(swr.registry).netloc, timeout=TIMEOUT)
    with contextlib.closing(connection):
        path = f"/v2/{repository}/blobs/{digest}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return str(connection.getresponse().headers["Location"])


def _address(url: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@contextlib.contextmanager
def running_harness(
    swr: RunningSandbox, folder: Path, *, front_tls: bool = False, back_tls: bool = False, **settings: object
) -> Iterator[Harness]:
    """An adapter of its own in front of the sandbox; `folder` takes the certificates."""
    authority = trustme.CA()
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with contextlib.ExitStack() as stack:
        registry = _address(swr.registry)
        if back_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            registry = stack.enter_context(tls_in_front_of(registry, context))
            settings["ca_bundle"] = bundle
        back = stack.enter_context(FaultProxy(registry, opaque=back_tls))
        objects = stack.enter_context(FaultProxy(_address(swr.objects)))
        scheme = "https" if back_tls else "http"
        regions = {PROJECT: {"registry": f"{scheme}://127.0.0.1:{back.port}", "api": swr.api}}
        if front_tls:
            own = authority.issue_cert("127.0.0.1")
            names = {"tls_certificate": folder / "door.pem", "tls_key": folder / "door.key"}
            own.cert_chain_pems[0].write_to_path(str(names["tls_certificate"]))
            own.private_key_pem.write_to_path(str(names["tls_key"]))
            settings |= names
        # Many faults are played at once, by one tenant.
        settings = {"client_idle_timeout": IDLE, "transfers_per_tenant": 0, **settings}
        adapter = stack.enter_context(running_adapter(regions, **settings))
        front = stack.enter_context(FaultProxy(_address(adapter.contract), opaque=front_tls))
        trust = ssl.create_default_context(cafile=str(bundle)) if front_tls else None
        door = StrictDoor(f"http://127.0.0.1:{front.port}", context=trust)
        door.documented = False  # an answer may come damaged
        log = stack.enter_context(Log(adapter.service.log))
        yield Harness(adapter, swr, front, back, objects, door, log)
