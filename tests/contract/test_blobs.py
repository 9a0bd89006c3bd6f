"""Downloads: exact, streamed, and never a part that passes for the whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from werkzeug.test import Client

from adapter.contract import create_contract_app
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from tests.contract.conftest import Start, put_back
from tests.contract.http import Answer, Door, asked, digest_of, eventually, refused, reset
from tests.contract.stubbed import DIGEST, StubSwr
from tests.credentials import basic
from tests.running import RunningAdapter, RunningSandbox

BLOB = random.Random(2).randbytes(3_000_001)


@pytest.fixture
def digest(swr: RunningSandbox, repository: str) -> str:
    """A blob of three megabytes is in SWR."""
    return swr.store.put_blob(repository, BLOB)


def one_by_one(door: Door, target: str) -> Iterator[Answer]:
    """All of a blob, a part of it, and its head, on one connection."""
    with contextlib.closing(door.connect()) as connection:
        connection.connect()
        first = connection.sock
        for method, span in (("GET", "bytes=0-"), ("GET", "bytes=1000-1999999"), ("HEAD", "bytes=0-")):
            connection.request(method, target, headers={"Authorization": door.authorization, "Range": span})
            answer = connection.getresponse()
            yield Answer(answer.status, answer.headers, answer.read())
            assert connection.sock is first


class TestGet:
    @pytest.mark.parametrize("redirect", ["307", "302", "off"])
    def test_whole(self, door: Door, swr: RunningSandbox, repository: str, redirect: str) -> None:
        """The object store refuses an Authorization header, so success also proves that none is sent there."""
        put_back(swr, blob_redirect=redirect)
        digest = swr.store.put_blob(repository, BLOB)
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert answer.status == 200
        assert answer.body == BLOB
        assert answer.header("Content-Length") == str(len(BLOB))
        assert answer.header("Docker-Content-Digest") == digest
        assert answer.header("Content-Type") == "application/octet-stream"
        assert bool([entry for entry in swr.journal() if entry["origin"] == "objects"]) == (redirect != "off")

    def test_a_connection_is_good_for_more_after_bytes_that_went_past_the_server(
        self, door: Door, usual_adapter: RunningAdapter, repository: str, digest: str
    ) -> None:
        target, logged = f"/v2/{repository}/blobs/{digest}", len(usual_adapter.service.output)
        whole, some, short = one_by_one(door, target)
        assert whole.body == BLOB
        assert (some.status, some.body) == (206, BLOB[1000:2_000_000])
        assert (short.status, short.header("Content-Length")) == (200, str(len(BLOB)))
        eventually(lambda: usual_adapter.service.output[logged:].count('"message": "request"') == 3)
        lines = [json.loads(line) for line in usual_adapter.service.output[logged:].splitlines()]
        sent = [line["sent"] for line in lines if line["message"] == "request"]
        assert sent == [len(BLOB), 1_999_000, 0]

    def test_http_1_0(self, door: Door, repository: str, digest: str) -> None:
        with door.open() as connection:
            head = door.head("GET", f"/v2/{repository}/blobs/{digest}").replace(b"HTTP/1.1", b"HTTP/1.0")
            connection.sendall(head)
            got = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        assert got.partition(b"\r\n\r\n")[2] == BLOB

    def test_an_empty_one(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        digest = swr.store.put_blob(repository, b"")
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body, answer.header("Content-Length")) == (200, b"", "0")

    @pytest.mark.parametrize(
        ("span", "first", "end"),
        [
            ("0-99", 0, 100),
            ("100-", 100, len(BLOB)),
            ("-5", len(BLOB) - 5, len(BLOB)),
            ("2999990-9999999", 2999990, len(BLOB)),
        ],
    )
    def test_a_range(self, door: Door, repository: str, digest: str, span: str, first: int, end: int) -> None:
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": f"bytes={span}"})
        assert answer.status == 206
        assert answer.body == BLOB[first:end]
        assert answer.header("Content-Range") == f"bytes {first}-{end - 1}/{len(BLOB)}"
        assert answer.header("Content-Length") == str(end - first)

    def test_a_range_that_swr_does_not_know(self, door: Door, swr: RunningSandbox, repository: str) -> None:
        put_back(swr, objects_range=False)
        digest = swr.store.put_blob(repository, BLOB)
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": "bytes=0-99"})
        assert (answer.status, answer.body) == (200, BLOB)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Range": "BYTES=0-99"}, 206),
            ({"Range": "items=0-99"}, 200),
            ({"Range": "bytes=0-99", "If-Range": '"another"'}, 200),
            ({"Range": "bytes=0-99", "If-Range": "Tue, 24 Nov 2026 07:00:00 GMT"}, 200),
            ({"Range": "bytes=0-99", "If-Range": '"{digest}"'}, 206),
        ],
    )
    def test_what_is_no_range_for_this_blob_gives_all(
        self, door: Door, repository: str, digest: str, headers: dict[str, str], status: int
    ) -> None:
        sent = {name: value.format(digest=digest) for name, value in headers.items()}
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}", headers=sent)
        assert (answer.status, answer.body) == (status, BLOB if status == 200 else BLOB[:100])

    @pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=99-0"])
    def test_a_range_of_nothing(self, door: Door, repository: str, digest: str, asked: str) -> None:
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": asked})
        refused(answer, 416, code="RANGE_INVALID")

    def test_an_encoding_is_passed_on_untouched(
        self, door: Door, swr: RunningSandbox, repository: str, digest: str
    ) -> None:
        headers = {"Content-Encoding": "gzip"}
        swr.faults({"origin": "objects", "status": 200, "headers": headers, "body": "as it came"})
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Accept-Encoding": "br"})
        assert (answer.body, answer.header("Content-Encoding")) == (b"as it came", "gzip")

    def test_missing(self, door: Door, repository: str, digest: str) -> None:
        missing = digest_of(b"missing")
        answer = door.ask("GET", f"/v2/{repository}/blobs/{missing}")
        refused(answer, 404, repository, missing, code="BLOB_UNKNOWN")

    def test_gone_from_the_object_store(self, door: Door, swr: RunningSandbox, repository: str, digest: str) -> None:
        swr.faults({"origin": "objects", "status": 404, "body": "<Error><Code>NoSuchKey</Code></Error>"})
        refused(door.ask("GET", f"/v2/{repository}/blobs/{digest}"), 404, code="BLOB_UNKNOWN")

    def test_a_link_that_has_expired(self, door: Door, swr: RunningSandbox, repository: str, digest: str) -> None:
        swr.faults({"origin": "objects", "status": 403, "body": "<Error><Code>AccessDenied</Code></Error>", "times": 0})
        refused(door.ask("GET", f"/v2/{repository}/blobs/{digest}"), {403, 502, 503})

    @pytest.mark.parametrize("fault", [{"status": 503}, {"cut_after_bytes": 0}])
    @pytest.mark.parametrize("origin", ["registry", "objects"])
    def test_what_passes_is_tried_again(
        self, door: Door, swr: RunningSandbox, repository: str, digest: str, origin: str, fault: dict[str, object]
    ) -> None:
        swr.faults({"origin": origin, **fault})
        assert door.ask("GET", f"/v2/{repository}/blobs/{digest}").body == BLOB

    @pytest.mark.parametrize(
        "location", ["", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://[::1", "\\\\x"]
    )
    def test_redirects_to_nowhere(
        self, door: Door, swr: RunningSandbox, repository: str, digest: str, location: str
    ) -> None:
        swr.faults(
            {"path": "/blobs/", "status": 307, "headers": {"Location": location} if location else {}, "times": 0}
        )
        refused(door.ask("GET", f"/v2/{repository}/blobs/{digest}"), {502, 503, 504})

    def test_redirects_without_end(self, door: Door, swr: RunningSandbox, repository: str, digest: str) -> None:
        path = f"/v2/{repository}/blobs/{digest}"
        swr.faults({"path": "/blobs/", "status": 307, "headers": {"Location": path}, "times": 0})
        refused(door.ask("GET", path), {502, 503})
        assert len(asked(swr, "GET", "/blobs/")) < 10

    @pytest.mark.parametrize("head_redirect", [False, True])
    def test_a_length_that_the_store_leaves_out(
        self, door: Door, swr: RunningSandbox, repository: str, head_redirect: bool
    ) -> None:
        """Harbor's proxy cache would take a blob without one for empty."""
        put_back(swr, objects_length=False, head_redirect=head_redirect)
        digest = swr.store.put_blob(repository, BLOB)
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert answer.body == BLOB
        if not head_redirect:
            assert answer.header("Content-Length") == str(len(BLOB))

    def test_without_a_length_a_cut_is_noticed_too(
        self, door: Door, swr: RunningSandbox, repository: str, digest: str
    ) -> None:
        swr.set_knobs(objects_length=False)
        swr.faults({"origin": "objects", "cut_after_bytes": 1_500_000})
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            door.ask("GET", f"/v2/{repository}/blobs/{digest}")


class TestRedirectsPassed:
    @pytest.fixture
    def passing(self, start: Start) -> Door:
        return Door(start(blob_redirects="pass").contract)

    @pytest.mark.parametrize("redirect", ["307", "302"])
    def test_the_client_gets_the_stores_address(
        self, passing: Door, swr: RunningSandbox, repository: str, digest: str, redirect: str
    ) -> None:
        swr.set_knobs(blob_redirect=redirect)
        answer = passing.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body) == (307, b"")
        assert answer.header("Location").startswith(f"{swr.objects}/")
        assert answer.header("Cache-Control") == "no-store"
        assert [entry for entry in swr.journal() if entry["origin"] == "objects"] == []
        request = urllib.request.Request(answer.header("Location"), headers={"Range": "bytes=5-9"})
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.read() == BLOB[5:10]

    def test_the_address_is_in_no_log(self, start: Start, swr: RunningSandbox, repository: str, digest: str) -> None:
        adapter = start(blob_redirects="pass", log_level="debug")
        location = Door(adapter.contract).ask("GET", f"/v2/{repository}/blobs/{digest}").header("Location")
        (signature,) = parse_qs(urlsplit(location).query)["Signature"]
        eventually(lambda: '"message": "request"' in adapter.service.output)
        assert signature not in adapter.service.output
        assert quote(signature, safe="") not in adapter.service.output

    def test_what_swr_sends_itself_is_streamed(
        self, passing: Door, swr: RunningSandbox, repository: str, digest: str
    ) -> None:
        swr.set_knobs(blob_redirect="off")
        answer = passing.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body) == (200, BLOB)

    def test_missing(self, passing: Door, repository: str) -> None:
        missing = digest_of(b"missing")
        refused(passing.ask("GET", f"/v2/{repository}/blobs/{missing}"), 404, missing, code="BLOB_UNKNOWN")

    def test_head_stays_with_the_adapter(self, passing: Door, repository: str, digest: str) -> None:
        answer = passing.ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.header("Content-Length")) == (200, str(len(BLOB)))

    @pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://"])
    def test_never_to_nowhere(
        self, passing: Door, swr: RunningSandbox, repository: str, digest: str, location: str
    ) -> None:
        headers = {"Location": location} if location else {}
        swr.faults({"path": "/blobs/", "status": 307, "headers": headers, "times": 0})
        refused(passing.ask("GET", f"/v2/{repository}/blobs/{digest}"), {502, 503})

    def test_nor_to_the_registry_itself(self, passing: Door, swr: RunningSandbox, repository: str, digest: str) -> None:
        """The client has no token for it."""
        swr.faults({"path": "/blobs/", "status": 307, "headers": {"Location": "/v2/elsewhere"}})
        refused(passing.ask("GET", f"/v2/{repository}/blobs/{digest}"), {401, 403, 404, 502})

    def test_never_to_a_host_that_the_region_does_not_list(
        self, start: Start, swr: RunningSandbox, repository: str, digest: str
    ) -> None:
        regions = {"eu-de": {"registry": swr.registry, "api": swr.api, "objects": ["127.0.0.3"]}}
        door = Door(start(regions, blob_redirects="pass").contract)
        refused(door.ask("GET", f"/v2/{repository}/blobs/{digest}"), 502, "127.0.0.2", "objects")


class TestHead:
    @pytest.mark.parametrize("head_redirect", [False, True])
    def test_head(self, door: Door, swr: RunningSandbox, repository: str, head_redirect: bool) -> None:
        put_back(swr, head_redirect=head_redirect)
        digest = swr.store.put_blob(repository, BLOB)
        answer = door.ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("Content-Length") == str(len(BLOB))
        assert answer.header("Docker-Content-Digest") == digest

    @pytest.mark.parametrize("head_redirect", [False, True])
    def test_missing(self, door: Door, swr: RunningSandbox, repository: str, head_redirect: bool) -> None:
        put_back(swr, head_redirect=head_redirect)
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{digest_of(b'missing')}").status == 404


class TestBrokenOff:
    @pytest.mark.parametrize("after", [1, 1000, 1_500_000, len(BLOB) - 1])
    @pytest.mark.parametrize("redirect", ["307", "off"])
    def test_swrs_end_is_never_a_clean_end(
        self, door: Door, swr: RunningSandbox, repository: str, after: int, redirect: str
    ) -> None:
        put_back(swr, blob_redirect=redirect)
        digest = swr.store.put_blob(repository, BLOB)
        origin, path = ("registry", "/blobs/") if redirect == "off" else ("objects", "")
        swr.faults({"origin": origin, "path": path, "method": "GET", "cut_after_bytes": after, "times": 0})
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            door.ask("GET", f"/v2/{repository}/blobs/{digest}")
        swr.faults()
        assert door.ask("GET", f"/v2/{repository}/blobs/{digest}").body == BLOB

    def test_a_body_of_unknown_length_neither(
        self, door: Door, swr: RunningSandbox, repository: str, digest: str
    ) -> None:
        """Chunked by the object store and cut: the client must not see the last chunk."""
        framed = {"Transfer-Encoding": "chunked", "Content-Length": "5"}
        swr.faults({"origin": "objects", "status": 200, "body": "hello", "headers": framed, "cut_after_bytes": 3})
        with pytest.raises((http.client.HTTPException, ConnectionError, AssertionError)):
            assert door.ask("GET", f"/v2/{repository}/blobs/{digest}").status >= 500

    @pytest.mark.parametrize("read", [False, True], ids=["dropped", "read to its end"])
    def test_the_end_of_an_answer_ends_swrs(self, read: bool) -> None:
        """At once, not when Python finds that nobody refers to it."""
        swr = AnswerKeeper()
        app = create_contract_app(Settings(), cast("SwrClient", swr))
        response = Client(app).get(f"/v2/team/app/blobs/{DIGEST}", headers={"Authorization": basic()}, buffered=False)
        assert response.status_code == 200
        if read:
            assert next(response.iter_encoded())
        assert not swr.answer.raw.closed
        response.close()
        assert swr.answer.raw.closed

    @pytest.mark.parametrize("way", ["follow", "pass"])
    def test_dropped_answers_leak_nothing(self, start: Start, swr: RunningSandbox, repository: str, way: str) -> None:
        """Harbor's proxy cache asks for each blob twice, and may drop one of the two answers early."""
        threads = 4
        door = Door(start(threads=threads, blob_redirects=way).contract)
        swr.set_knobs(blob_redirect="307" if way == "follow" else "off")
        origin = swr.objects if way == "follow" else swr.registry
        digest = swr.store.put_blob(repository, bytes(64 << 20))
        small = swr.store.put_blob(repository, BLOB)
        others = open_connections(origin)
        for _ in range(3 * threads):
            with door.open() as kept, door.open() as dropped:
                for connection in (kept, dropped):
                    connection.sendall(door.head("GET", f"/v2/{repository}/blobs/{digest}"))
                    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
                reset(dropped)
            eventually(lambda: open_connections(origin) <= others + 1)

        def whole(_: int) -> bool:
            return door.ask("GET", f"/v2/{repository}/blobs/{small}").body == BLOB

        with ThreadPoolExecutor(threads) as pool:
            # The thread of a download that was dropped is free shortly after its connection.
            # One of the four is for other accounts.
            eventually(lambda: all(list(pool.map(whole, range(threads - 1)))))

    def test_little_more_is_fetched_than_the_client_takes(
        self, door: Door, swr: RunningSandbox, usual_adapter: RunningAdapter, repository: str
    ) -> None:
        digest = swr.store.put_blob(repository, bytes(64 << 20))
        logged = len(usual_adapter.service.output)
        with door.open() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            connection.sendall(door.head("GET", f"/v2/{repository}/blobs/{digest}"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        eventually(lambda: '"message": "request"' in usual_adapter.service.output[logged:])
        lines = [json.loads(line) for line in usual_adapter.service.output[logged:].splitlines()]
        (line,) = [line for line in lines if line["message"] == "request"]
        # What fits into the kernel's buffers on the way, not the blob.
        assert line["sent"] < 32 << 20

    def test_a_client_that_leaves_ends_it_at_swr(
        self, door: Door, swr: RunningSandbox, usual_adapter: RunningAdapter, repository: str
    ) -> None:
        large = bytes(48 << 20)
        digest = swr.store.put_blob(repository, large)
        logged = len(usual_adapter.service.output)
        with door.open() as connection:
            connection.sendall(door.head("GET", f"/v2/{repository}/blobs/{digest}"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            eventually(lambda: any(entry["origin"] == "objects" for entry in swr.journal()))
            running = open_connections(swr.objects)
        eventually(lambda: open_connections(swr.objects) < running)
        eventually(lambda: '"message": "request"' in usual_adapter.service.output[logged:])
        lines = [json.loads(line) for line in usual_adapter.service.output[logged:].splitlines()]
        (line,) = [line for line in lines if line["message"] == "request"]
        assert line["sent"] < len(large)
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


class AnswerKeeper(StubSwr):
    """Remembers its answer."""

    answer: requests.Response

    def open_blob(self, *called: Any) -> requests.Response:
        self.answer = super().open_blob(*called)
        return self.answer


def open_connections(url: str) -> int:
    """Established connections of this machine to the port of a URL."""
    port = urlsplit(url).port
    return sum(remote == port for remote in _remote_ports())


def _remote_ports() -> Iterator[int]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, *_ = line.split()
        if state == "01":
            yield int(remote.partition(":")[2], 16)
