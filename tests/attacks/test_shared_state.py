"""A Redis with invalid replies or values: no request fails or waits."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from adapter.credentials import Credentials
from adapter.references import RepositoryName
from adapter.state import MemoryState, RedisClient, RedisUnavailable, SharedState
from adapter.swr.accepted_credentials import Accepted
from adapter.swr.client import SwrClient
from adapter.swr.rate_limit import RateLimit
from adapter.swr.repository import Repository
from adapter.swr.tokens import PULL
from tests.contract.stubbed import DIGEST, Ask, Stubbed, StubSwr
from tests.swr.conftest import client, credentials, swr  # noqa: F401 - fixtures
from tests.swr.scripted import Swr

REPLIES = {
    "a number": b":5\r\n",
    "a status": b"+OK\r\n",
    "a text": b"$5\r\nhello\r\n",
    "nothing": b"$-1\r\n",
    "no list": b"*-1\r\n",
    "an empty list": b"*0\r\n",
    "a short list": b"*1\r\n:1\r\n",
    "a long list": b"*3\r\n:1\r\n:0\r\n:0\r\n",
    "texts": b"*2\r\n$1\r\n1\r\n$1\r\n0\r\n",
    "an hour": b"*2\r\n:1\r\n:3600000000\r\n",
    "an hour, refused": b"*2\r\n:0\r\n:3600000000\r\n",
    "a wait before now": b"*2\r\n:1\r\n:-5000000\r\n",
    "a refusal without a wait": b"*2\r\n:0\r\n:0\r\n",
    "no such verdict": b"*2\r\n:7\r\n:0\r\n",
    "infinity": b"*2\r\n:1\r\n$3\r\ninf\r\n",
    "lists in lists": b"*2\r\n*1\r\n:1\r\n*1\r\n:0\r\n",
    "a deep list": b"*1\r\n" * 100_000 + b":1\r\n",
    "no protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no length": b"$x\r\n",
    "an endless length": b"$" + b"9" * 5000 + b"\r\n",
    "an error": b"-WRONGTYPE of value\r\n",
    "a half": b"*2\r\n:1\r\n",
    "too large": b"$65537\r\n" + b"x" * 65537 + b"\r\n",
}


@contextlib.contextmanager
def serving(reply: bytes | Callable[[socket.socket], object]) -> Iterator[str]:
    """The URL of a server that sends this reply to each command, or calls this function with the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while connection.recv(1 << 16):
                    connection.sendall(reply) if isinstance(reply, bytes) else reply(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits for a turn, which take no time."""
    seconds: list[float] = []
    monkeypatch.setattr("adapter.swr.rate_limit.interruptible_sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_an_invalid_reply_is_ignored(reply: bytes, sleeps: list[float]) -> None:
    with serving(reply) as url:
        RateLimit(10, RedisClient(url)).take("eu-de/AK", 5)
        assert sleeps == [0]
        state = SharedState(RedisClient(url))
        assert state.get("a") in (None, b"hello", b"OK")
        state.put("a", b"1", 10)
        state.drop("a")


def test_a_turn_after_the_longest_wait_of_the_caller_is_ignored(sleeps: list[float]) -> None:
    """The server knows the longest wait."""
    with serving(b"*2\r\n:1\r\n:9000000\r\n") as url:
        for longest in (10, 5):
            RateLimit(10, RedisClient(url)).take("eu-de/AK", longest)
    assert sleeps == [9, 0]


def test_a_server_with_invalid_replies_is_not_used_again(caplog: pytest.LogCaptureFixture) -> None:
    with serving(b":5\r\n") as url:
        link = RedisClient(url)
        assert SharedState(link).get("a") is None
        with pytest.raises(RedisUnavailable):
            link.do(lambda server: server.ping())
    assert "returned an unexpected reply (UnexpectedReply)" in caplog.text


def test_a_slow_reply_times_out() -> None:
    sent: list[int] = []

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b":")
        for number in range(60):
            time.sleep(0.1)
            connection.sendall(b"1")
            sent.append(number)

    with serving(trickle) as url:
        RateLimit(10, RedisClient(url)).take("eu-de/AK", 5)
        assert len(sent) < 40


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"$2000000000\r\n", b"x" * 65536), (b"+", b"x" * 65536), (b"*1000000000\r\n", b":1\r\n" * 16384)],
    ids=["a text", "a line", "a list"],
)
def test_an_endless_reply_is_not_kept(start: bytes, more: bytes) -> None:
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(start)
        sent.extend(connection.send(more) for _ in range(1024))

    with serving(endless) as url:
        assert SharedState(RedisClient(url)).get("a") is None
        # What was read, and what the buffers of the kernel take.
        assert sum(sent) < 16 << 20


# Values that the adapter did not write

REFUSED = {"kind": "CredentialsRefused", "sentence": "no"}
VALUES = {
    "empty": b"",
    "one": b"1",
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 60_000,
    "digits": b"9" * 60_000,
    "a surrogate": json.dumps(REFUSED | {"sentence": "\ud800"}).encode(),
    "a forged line": json.dumps(REFUSED | {"sentence": "no\nerror=none \x1b[2J"}).encode(),
    "a wrong kind": json.dumps(REFUSED | {"kind": "KeyboardInterrupt"}).encode(),
    "lists": json.dumps({"kind": ["CredentialsRefused"], "sentence": ["no"]}).encode(),
    "a repository": b"team/app",
    "a path": b"../../etc",
}


class Store(MemoryState):
    """Returns one value for each key."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self._value = value

    def get(self, key: str) -> bytes | None:
        return self._value


@pytest.fixture(params=VALUES.values(), ids=list(VALUES))
def odd(request: pytest.FixtureRequest) -> Store:
    return Store(request.param)


ASKS = [
    Ask("GET", "/v2/"),
    Ask("GET", "/api/v2.0/labels"),
    Ask("GET", f"/v2/team/app/manifests/{DIGEST}"),
    Ask("HEAD", "/v2/team/app/manifests/v1"),
    Ask("HEAD", f"/v2/team/app/blobs/{DIGEST}"),
    Ask("GET", f"/api/v2.0/repositories?q=blob_digest={DIGEST}"),
    Ask("POST", f"/v2/team/app/blobs/uploads/?mount={DIGEST}"),
    Ask("POST", f"/v2/team/app/blobs/uploads/?mount={DIGEST}&from=team/app"),
    Ask("GET", "/api/v2.0/projects/team/repositories"),
    Ask("GET", "/api/v2.0/projects/team/repositories/app/artifacts"),
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: f"{ask.method} {ask.target[:60]}")
def test_an_invalid_value_fails_no_request(odd: Store, ask: Ask) -> None:
    stub = StubSwr()
    stub.state = odd
    assert Stubbed(stub).ask(ask).status < 500


def test_an_invalid_value_accepts_no_credentials(
    odd: Store,
    swr: Swr,  # noqa: F811
    client: SwrClient,  # noqa: F811
    credentials: Credentials,  # noqa: F811
) -> None:
    swr.grant()
    client.tokens._auth_failures._state = odd
    client.tokens._accepted._state = odd
    assert client.tokens.bearer(Repository(credentials, RepositoryName("org", "repo")), PULL)
    assert Accepted(odd).includes(credentials) == (odd.get("") == b"1")
