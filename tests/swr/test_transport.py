from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from werkzeug import Response

from adapter.errors import (
    AdapterError,
    CertificateUntrusted,
    Throttled,
    TimedOut,
    Unexpected,
    Unreachable,
    UploadInvalid,
)
from adapter.http.request_context import RequestContext
from adapter.settings import Settings
from adapter.swr.response_body import error_response_of, read_document, settle
from adapter.swr.retry import (
    BLOB_DOWNLOAD,
    BUFFERED_UPLOAD,
    CREATE,
    HEALTH_CHECK,
    IDEMPOTENT,
    STREAMED_UPLOAD,
    RetryPolicy,
)
from adapter.swr.transport import Transport
from tests.attacks.raw import RawServer
from tests.services import free_ports
from tests.swr.scripted import Swr

ONCE = RetryPolicy(0, frozenset(), retry_broken=False, response_seconds=0.3)


def transport_of(**settings: object) -> Transport:
    return Transport(Settings(**{"requests_per_second": 0.0, **settings}))  # type: ignore[arg-type]


def get(
    url: str, policy: RetryPolicy = IDEMPOTENT, transport: Transport | None = None, access_key: str = "a"
) -> requests.Response:
    return (transport or transport_of()).send("GET", url, headers={}, access_key=access_key, policy=policy)


def test_a_request_has_no_unwanted_headers(swr: Swr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    swr.answer("PUT", "/x", 201)
    transport_of().send("PUT", swr.url + "/x", headers={"X-A": "b"}, access_key=None, body=b"abc")
    (request,) = swr.seen
    assert request.get_data() == b"abc"
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert sent.pop("user-agent").startswith("harbor-swr-adapter/")
    assert sent.pop("host") == swr.url.removeprefix("http://")
    assert sent == {"x-a": "b", "content-length": "3", "accept-encoding": "identity"}


@pytest.mark.parametrize(
    ("policy", "answers", "status"),
    [
        (IDEMPOTENT, [503, 503, 200], 200),
        (IDEMPOTENT, [Response("", 503, {"Retry-After": "3600"})], 503),
        (IDEMPOTENT, [Response("", 307, {"Location": "/y"})], 307),
        *((IDEMPOTENT, [status], status) for status in (400, 401)),
        *((CREATE, [status], status) for status in (500, 502)),
        (STREAMED_UPLOAD, [503], 503),
    ],
)
def test_a_request_is_repeated_according_to_its_policy(
    swr: Swr, policy: RetryPolicy, answers: list[Response | int], status: int
) -> None:
    swr.answer("GET", "/x", *answers, 599)
    assert get(swr.url + "/x", policy).status_code == status
    assert len(swr.seen) == len(answers)


def test_requests_and_request_ids_are_counted_without_cookies(swr: Swr, context: RequestContext) -> None:
    cookie = {"X-Request-Id": "swr-1", "Set-Cookie": "session=other-account; Path=/"}
    swr.answer("GET", "/x", 503, Response("", 200, cookie))
    transport = transport_of()
    for _ in range(2):
        settle(get(swr.url + "/x", transport=transport))
    assert (context.requests, context.request_ids) == (3, ["swr-1", "swr-1"])
    assert [request.headers.get("Cookie") for request in swr.seen] == [None] * 3


def test_an_error_of_the_body_is_raised(swr: Swr) -> None:
    class Cut(AdapterError):
        pass

    def body() -> Iterator[bytes]:
        yield b"a"
        raise Cut("client disconnected")

    with pytest.raises(Cut):
        transport_of().send("PUT", swr.url + "/x", headers={}, access_key=None, body=body(), policy=STREAMED_UPLOAD)
    # The next request does not use the broken connection.
    swr.answer("GET", "/x", 200)
    assert get(swr.url + "/x").status_code == 200


def test_an_unreachable_host_raises(swr: Swr) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unreachable, match="connection refused"):
        get(f"http://127.0.0.1:{port}/", ONCE)
    with pytest.raises(Unreachable, match=r"swr\.invalid cannot be reached"):
        get("http://swr.invalid/", ONCE)
    with pytest.raises(Unreachable, match="proxy did not connect"):
        get("https://swr.example/x", ONCE, transport_of(proxy=f"http://127.0.0.1:{port}"))
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimedOut, match="did not answer"):
        get(f"http://127.0.0.1:{silent.getsockname()[1]}/", ONCE)


def test_the_rate_limit_counts_for_the_access_key(swr: Swr) -> None:
    swr.answer("GET", "/x", 200)
    transport = transport_of(requests_per_second=0.1)
    short = RetryPolicy(total_seconds=0, statuses=frozenset(), retry_broken=False, queue_seconds=0.5)
    past = RetryPolicy(total_seconds=0, statuses=frozenset(), retry_broken=False, rate_limited=False)
    get(swr.url + "/x", short, transport)
    with pytest.raises(Throttled):
        get(swr.url + "/x", short, transport)
    assert get(swr.url + "/x", past, transport).status_code == 200
    assert get(swr.url + "/x", short, transport, access_key="b").status_code == 200


@pytest.mark.parametrize(
    ("header", "expected"), [("3600", 3600), ("9" * 400, 86_400), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400)]
)
def test_retry_after_is_limited_to_a_day(swr: Swr, header: str, expected: float) -> None:
    swr.answer("GET", "/x", Response("", 503, {"Retry-After": header}))
    refusal = error_response_of(get(swr.url + "/x"))
    assert (refusal.status, refusal.retry_after) == (503, expected)


@pytest.mark.parametrize("url", ["http://.x/", "http://"])
def test_an_invalid_host_name_raises(url: str) -> None:
    with pytest.raises(Unexpected, match="invalid host name"):
        get(url, IDEMPOTENT)


def test_loopback_addresses_bypass_the_proxy(swr: Swr, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    swr.answer("GET", "/x", 200)
    url = swr.url.replace("localhost", "127.0.0.1") + "/x"
    assert get(url).status_code == 200
    assert get(url, transport=transport_of(proxy=f"http://127.0.0.1:{port}")).status_code == 200


@pytest.mark.parametrize("policy", [BUFFERED_UPLOAD, BLOB_DOWNLOAD], ids=["upload", "download"])
def test_no_request_is_repeated_for_a_disconnected_client(
    swr: Swr, context: RequestContext, policy: RetryPolicy
) -> None:
    swr.answer("GET", "/x", 503)
    context.client, far = socket.socketpair()
    with context.client:
        far.close()
        with pytest.raises(UploadInvalid, match="client disconnected"):
            get(swr.url + "/x", policy)
        settle(get(swr.url + "/x", ONCE))
    assert len(swr.seen) == 2


def test_a_document_above_the_limit_raises(swr: Swr) -> None:
    swr.answer("GET", "/x", Response(b"x" * 2000))
    assert len(read_document(get(swr.url + "/x"), 2000)) == 2000
    with pytest.raises(Unexpected, match="more than 1999 bytes"):
        read_document(get(swr.url + "/x"), 1999)


def test_a_document_that_ends_early_raises(raw: RawServer) -> None:
    raw.answer("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    with pytest.raises(Unreachable, match="was cut off"):
        read_document(get(raw.url))


def test_the_log_contains_no_secret(swr: Swr, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    swr.answer("GET", "/secret-path", 503, 200)
    transport_of().send(
        "GET",
        swr.url + "/secret-path?_state=secret-query",
        headers={"Authorization": "Bearer secret-token"},
        access_key="a",
    )
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("adapter")]
    assert len(ours) == 3
    assert "secret" not in "".join(ours)


@pytest.mark.parametrize("certificate", ["tls"], indirect=True)
def test_an_unknown_authority_is_named_unless_it_is_in_the_bundle(raw: RawServer, transport: Transport) -> None:
    with pytest.raises(CertificateUntrusted, match=r"certificate of 127\.0\.0\.1 \(.*\).*SWR_ADAPTER_CA_BUNDLE"):
        get(raw.url)
    assert read_document(get(raw.url, transport=transport)) == b"{}"


@pytest.mark.parametrize("configured", [True, False], ids=["setting", "environment"])
def test_the_proxy_is_used(swr: Swr, configured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted server plays the proxy: it receives the request with the whole URL."""
    monkeypatch.setenv("NO_PROXY", "direct.example")
    if not configured:
        monkeypatch.setenv("HTTP_PROXY", swr.url)
    transport = transport_of(proxy=swr.url) if configured else transport_of()
    swr.answer("GET", "/x", 200)
    assert get("http://swr.example/x", transport=transport).status_code == 200
    assert swr.seen[0].headers["Host"] == "swr.example"
    with pytest.raises(Unreachable, match=r"direct\.example"):
        get("http://direct.example/x", ONCE, transport)


def test_a_slow_document_ends_at_the_deadline(swr: Swr) -> None:
    def trickle() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    swr.answer("GET", "/x", lambda _: Response(trickle(), headers={"Content-Length": "100"}))
    deadline = time.monotonic() + 0.3
    response = get(swr.url + "/x")
    with pytest.raises(TimedOut, match="did not complete"):
        read_document(response, deadline=deadline)


def test_retries_end_at_the_deadline(swr: Swr) -> None:
    swr.answer("GET", "/x", 503)
    deadline = time.monotonic() + 1.0
    assert get(swr.url + "/x", replace(HEALTH_CHECK, deadline=deadline)).status_code == 503
    assert time.monotonic() < deadline + HEALTH_CHECK.total_seconds / 2
