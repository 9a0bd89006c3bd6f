from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import trustme
from pytest_httpserver import HTTPServer
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
from adapter.http import request_context
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
from tests.services import free_ports
from tests.swr.scripted import Swr

QUICK = RetryPolicy(total_seconds=3, statuses=frozenset({503}), retry_broken=True, response_seconds=0.3)


def transport_of(**settings: object) -> Transport:
    return Transport(Settings(**{"requests_per_second": 0.0, **settings}))  # type: ignore[arg-type]


def get(
    url: str, policy: RetryPolicy = IDEMPOTENT, transport: Transport | None = None, account: str = "a"
) -> requests.Response:
    return (transport or transport_of()).send("GET", url, headers={}, access_key=account, policy=policy)


def test_sends_what_it_is_told_and_nothing_of_its_own(
    swr: Swr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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


def test_cookies_are_not_kept(swr: Swr) -> None:
    swr.answer("GET", "/x", Response("", headers={"Set-Cookie": "session=other-account; Path=/"}))
    transport = transport_of()
    for _ in range(2):
        settle(get(swr.url + "/x", transport=transport))
    assert [request.headers.get("Cookie") for request in swr.seen] == [None, None]


def test_redirects_are_answers(swr: Swr) -> None:
    swr.answer("GET", "/x", Response("", 307, {"Location": "/y"}))
    assert get(swr.url + "/x").status_code == 307
    assert len(swr.seen) == 1


def test_busy_is_tried_again(swr: Swr) -> None:
    swr.answer("GET", "/x", 503, 503, 200)
    assert get(swr.url + "/x").status_code == 200
    assert len(swr.seen) == 3


def test_the_last_answer_stands_when_patience_ends(swr: Swr) -> None:
    swr.answer("GET", "/x", Response("", 503, {"Retry-After": "3600"}))
    refusal = error_response_of(get(swr.url + "/x"))
    assert (refusal.status, refusal.retry_after) == (503, 3600.0)
    assert len(swr.seen) == 1


@pytest.mark.parametrize(
    ("policy", "status"), [(CREATE, 502), (CREATE, 500), (STREAMED_UPLOAD, 503), (IDEMPOTENT, 400), (IDEMPOTENT, 401)]
)
def test_what_is_not_tried_again(swr: Swr, policy: RetryPolicy, status: int) -> None:
    swr.answer("GET", "/x", status, 200)
    assert get(swr.url + "/x", policy).status_code == status


def test_a_stream_is_sent_once(swr: Swr) -> None:
    swr.answer("PUT", "/x", 503)
    body = iter([b"a", b"b"])
    response = transport_of().send(
        "PUT", swr.url + "/x", headers={}, access_key=None, body=body, policy=STREAMED_UPLOAD
    )
    assert response.status_code == 503
    assert len(swr.seen) == 1


def test_an_error_of_the_body_comes_out_as_it_is(swr: Swr) -> None:
    class Cut(AdapterError):
        pass

    def body() -> Iterator[bytes]:
        yield b"a"
        raise Cut("the client left")

    with pytest.raises(Cut):
        transport_of().send("PUT", swr.url + "/x", headers={}, access_key=None, body=body(), policy=STREAMED_UPLOAD)
    # The next request finds a whole connection.
    swr.answer("GET", "/x", 200)
    assert get(swr.url + "/x").status_code == 200


def test_nobody_there() -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unreachable, match="connection refused"):
        get(f"http://127.0.0.1:{port}/", QUICK)


def test_no_such_host() -> None:
    with pytest.raises(Unreachable, match=r"swr\.invalid cannot be reached"):
        get("http://swr.invalid/", RetryPolicy(0, frozenset(), retry_broken=False))


def test_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(TimedOut, match="did not answer"):
            get(url, RetryPolicy(0, frozenset(), retry_broken=False, response_seconds=0.2))


def test_the_budget_is_charged_to_the_account(swr: Swr) -> None:
    swr.answer("GET", "/x", 200)
    transport = transport_of(requests_per_second=0.1)
    short = RetryPolicy(total_seconds=0, statuses=frozenset(), retry_broken=False, queue_seconds=0.5)
    past = RetryPolicy(total_seconds=0, statuses=frozenset(), retry_broken=False, rate_limited=False)
    get(swr.url + "/x", short, transport)
    with pytest.raises(Throttled):
        get(swr.url + "/x", short, transport)
    assert get(swr.url + "/x", past, transport).status_code == 200
    assert get(swr.url + "/x", short, transport, account="b").status_code == 200


def test_a_stream_waits_for_its_turn_as_long_as_others() -> None:
    """Its body cannot be repeated, so a refusal by our own budget would cost Harbor a retry."""
    assert STREAMED_UPLOAD.queue_seconds == IDEMPOTENT.queue_seconds >= 30


@pytest.mark.parametrize("header", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_absurd_waits_are_cut(swr: Swr, header: str) -> None:
    swr.answer("GET", "/x", Response("", 503, {"Retry-After": header}))
    waited = error_response_of(get(swr.url + "/x")).retry_after
    assert waited is not None
    assert waited <= 86_400


@pytest.mark.parametrize("url", ["http://.x/", "http://"])
def test_an_address_that_is_none_is_tried_once(url: str) -> None:
    with pytest.raises(Unexpected, match="invalid host name"):
        get(url, IDEMPOTENT)


def test_loopback_is_never_asked_of_a_proxy(swr: Swr, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    swr.answer("GET", "/x", 200)
    url = swr.url.replace("localhost", "127.0.0.1") + "/x"
    assert get(url).status_code == 200
    assert get(url, transport=transport_of(proxy=f"http://127.0.0.1:{port}")).status_code == 200


def test_the_trace_counts(swr: Swr) -> None:
    swr.answer("GET", "/x", 503, Response("", 200, {"X-Request-Id": "swr-1"}))
    token = request_context.current_request.set(request_context.RequestContext())
    try:
        settle(get(swr.url + "/x"))
        found = request_context.current_request.get()
    finally:
        request_context.current_request.reset(token)
    assert found is not None
    assert (found.requests, found.request_ids) == (2, ["swr-1"])


@pytest.mark.parametrize("policy", [BUFFERED_UPLOAD, BLOB_DOWNLOAD], ids=["a part of an upload", "a blob"])
def test_nobody_is_asked_again_for_a_caller_that_has_left(swr: Swr, policy: RetryPolicy) -> None:
    swr.answer("GET", "/x", 503)
    ours, far = socket.socketpair()
    with ours:
        far.close()
        token = request_context.current_request.set(request_context.RequestContext(ours))
        try:
            with pytest.raises(UploadInvalid, match="client disconnected"):
                get(swr.url + "/x", policy)
            settle(get(swr.url + "/x", RetryPolicy(0, frozenset(), retry_broken=False)))
        finally:
            request_context.current_request.reset(token)
    assert len(swr.seen) == 2


def test_documents_have_a_limit(swr: Swr) -> None:
    swr.answer("GET", "/x", Response(b"x" * 2000))
    assert len(read_document(get(swr.url + "/x"), 2000)) == 2000
    with pytest.raises(Unexpected, match="more than 1999 bytes"):
        read_document(get(swr.url + "/x"), 1999)


def test_a_document_that_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable, match="was cut off"):
            read_document(get(f"http://127.0.0.1:{server.getsockname()[1]}/", QUICK))
        thread.join()


def test_no_secret_in_the_log(swr: Swr, caplog: pytest.LogCaptureFixture) -> None:
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


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = HTTPServer(ssl_context=context, threaded=True)
    server.expect_request("/x").respond_with_data("fine")
    server.start()
    yield server.url_for("/x")
    server.stop()


def test_an_unknown_authority_is_named_as_the_reason(secure: str) -> None:
    with pytest.raises(CertificateUntrusted, match=r"certificate of localhost \(.*\).*SWR_ADAPTER_CA_BUNDLE"):
        get(secure)


def test_the_ca_bundle_is_trusted(secure: str, authority: trustme.CA, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    assert read_document(get(secure, transport=transport_of(ca_bundle=bundle))) == b"fine"


def test_the_proxy_is_used(swr: Swr, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted server plays the proxy: it gets the request with the whole address."""
    monkeypatch.setenv("NO_PROXY", "direct.example")
    swr.answer("GET", "/x", 200)
    assert get("http://swr.example/x", transport=transport_of(proxy=swr.url)).status_code == 200
    assert swr.seen[0].headers["Host"] == "swr.example"
    with pytest.raises(Unreachable, match=r"direct\.example"):
        get("http://direct.example/x", RetryPolicy(0, frozenset(), retry_broken=False), transport_of(proxy=swr.url))


def test_the_proxy_of_the_environment_is_used(swr: Swr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", swr.url)
    swr.answer("GET", "/x", 200)
    assert get("http://swr.example/x").status_code == 200


def test_a_proxy_that_is_not_there() -> None:
    (port,) = free_ports(1)
    transport = transport_of(proxy=f"http://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match="proxy did not connect"):
        get("https://swr.example/x", RetryPolicy(0, frozenset(), retry_broken=False), transport)


def test_a_document_that_trickles_ends_at_the_deadline(swr: Swr) -> None:
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
    assert time.monotonic() < deadline + HEALTH_CHECK.total_seconds / 2, "it went on for as long as without one"
