"""Downloads: exact, streamed, and never truncated without an error."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import urllib.request
from collections.abc import Callable, Iterator
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
from tests.contract.http import Answer, Door, digest_of, eventually, refused
from tests.contract.stubbed import DIGEST, StubSwr
from tests.credentials import basic
from tests.running import RunningAdapter, RunningSandbox, running_adapter

BLOB = random.Random(2).randbytes(3_000_001)


@pytest.fixture
def digest(swr: RunningSandbox, repository: str) -> str:
    """A blob of three megabytes is in SWR."""
    return swr.store.put_blob(repository, BLOB)


@pytest.fixture
def target(repository: str, digest: str) -> str:
    return f"/v2/{repository}/blobs/{digest}"


@pytest.fixture
def sent(usual_adapter: RunningAdapter) -> Callable[[int], list[int]]:
    """Waits for this number of requests in the log, and returns how many bytes each sent."""
    before = len(usual_adapter.service.output)

    def read(count: int) -> list[int]:
        eventually(lambda: usual_adapter.service.output[before:].count('"message": "request"') == count)
        lines = [json.loads(line) for line in usual_adapter.service.output[before:].splitlines()]
        return [line["sent"] for line in lines if line["message"] == "request"]

    return read


def one_by_one(door: Door, target: str) -> Iterator[Answer]:
    """A blob, a part of it, and its head, on one connection."""
    with contextlib.closing(door.connect()) as connection:
        connection.connect()
        first = connection.sock
        for method, span in (("GET", "bytes=0-"), ("GET", "bytes=1000-1999999"), ("HEAD", "bytes=0-")):
            connection.request(method, target, headers={"Authorization": door.authorization, "Range": span})
            answer = connection.getresponse()
            yield Answer(answer.status, answer.headers, answer.read())
            assert connection.sock is first


@contextlib.contextmanager
def begun(door: Door, target: str) -> Iterator[socket.socket]:
    """A download of which the client has read the head only."""
    with door.open() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.sendall(door.head("GET", target))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        yield connection


class TestGet:
    @pytest.mark.parametrize("redirect", ["307", "302", "off"])
    @pytest.mark.parametrize("data", [BLOB, b""], ids=["large", "empty"])
    def test_whole_blob(self, door: Door, swr: RunningSandbox, repository: str, redirect: str, data: bytes) -> None:
        """The object store rejects an Authorization header, so success also proves that none is sent there."""
        put_back(swr, blob_redirect=redirect)
        digest = swr.store.put_blob(repository, data)
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body) == (200, data)
        assert answer.header("Content-Length") == str(len(data))
        assert answer.header("Docker-Content-Digest") == digest
        assert answer.header("Content-Type") == "application/octet-stream"
        assert any(entry["origin"] == "objects" for entry in swr.journal()) == (redirect != "off")

    def test_several_downloads_on_one_connection(
        self, door: Door, target: str, sent: Callable[[int], list[int]]
    ) -> None:
        whole, part, head = one_by_one(door, target)
        assert whole.body == BLOB
        assert (part.status, part.body) == (206, BLOB[1000:2_000_000])
        assert (head.status, head.header("Content-Length")) == (200, str(len(BLOB)))
        assert sent(3) == [len(BLOB), 1_999_000, 0]

    @pytest.mark.parametrize(
        ("headers", "first", "end"),
        [
            ({"Range": "bytes=0-99"}, 0, 100),
            ({"Range": "BYTES=100-"}, 100, len(BLOB)),
            ({"Range": "bytes=-5"}, len(BLOB) - 5, len(BLOB)),
            ({"Range": "bytes=2999990-9999999"}, 2999990, len(BLOB)),
            ({"Range": "bytes=0-99", "If-Range": '"{digest}"'}, 0, 100),
        ],
    )
    def test_range(self, door: Door, target: str, digest: str, headers: dict[str, str], first: int, end: int) -> None:
        headers = {name: value.format(digest=digest) for name, value in headers.items()}
        answer = door.ask("GET", target, headers=headers)
        assert (answer.status, answer.body) == (206, BLOB[first:end])
        assert answer.header("Content-Range") == f"bytes {first}-{end - 1}/{len(BLOB)}"
        assert answer.header("Content-Length") == str(end - first)

    @pytest.mark.parametrize(
        ("headers", "ranges"),
        [
            ({"Range": "bytes=0-99"}, False),
            ({"Range": "items=0-99"}, True),
            ({"Range": "bytes=0-99", "If-Range": '"another"'}, True),
            ({"Range": "bytes=0-99", "If-Range": "Tue, 24 Nov 2026 07:00:00 GMT"}, True),
        ],
    )
    def test_ignored_range(
        self, door: Door, swr: RunningSandbox, target: str, headers: dict[str, str], ranges: bool
    ) -> None:
        swr.set_knobs(objects_range=ranges)
        answer = door.ask("GET", target, headers=headers)
        assert (answer.status, answer.body) == (200, BLOB)

    @pytest.mark.parametrize("span", ["bytes=9999999-", "bytes=99-0"])
    def test_empty_range(self, door: Door, target: str, span: str) -> None:
        refused(door.ask("GET", target, headers={"Range": span}), 416, code="RANGE_INVALID")

    @pytest.mark.parametrize("head_redirect", [False, True])
    def test_missing_blob(self, door: Door, swr: RunningSandbox, repository: str, head_redirect: bool) -> None:
        put_back(swr, head_redirect=head_redirect)
        target = f"/v2/{repository}/blobs/{digest_of(b'missing')}"
        refused(door.ask("GET", target), 404, repository, digest_of(b"missing"), code="BLOB_UNKNOWN")
        assert door.ask("HEAD", target).status == 404

    @pytest.mark.parametrize(
        ("status", "code", "statuses"), [(404, "NoSuchKey", {404}), (403, "AccessDenied", {403, 502, 503})]
    )
    def test_errors_of_the_object_store(
        self, door: Door, swr: RunningSandbox, target: str, status: int, code: str, statuses: set[int]
    ) -> None:
        body = f"<Error><Code>{code}</Code></Error>"
        swr.faults({"origin": "objects", "status": status, "body": body, "times": 0})
        refused(door.ask("GET", target), statuses)

    @pytest.mark.parametrize("fault", [{"status": 503}, {"cut_after_bytes": 0}])
    @pytest.mark.parametrize("origin", ["registry", "objects"])
    def test_transient_errors_are_retried(
        self, door: Door, swr: RunningSandbox, target: str, origin: str, fault: dict[str, object]
    ) -> None:
        swr.faults({"origin": origin, **fault})
        assert door.ask("GET", target).body == BLOB

    @pytest.mark.parametrize("head_redirect", [False, True])
    def test_length_that_the_store_does_not_send(
        self, door: Door, swr: RunningSandbox, target: str, head_redirect: bool
    ) -> None:
        """Harbor's proxy cache would store a blob without a length as empty."""
        swr.set_knobs(objects_length=False, head_redirect=head_redirect)
        answer = door.ask("GET", target)
        assert answer.body == BLOB
        if not head_redirect:
            assert answer.header("Content-Length") == str(len(BLOB))

    @pytest.mark.parametrize("head_redirect", [False, True])
    def test_head(self, door: Door, swr: RunningSandbox, target: str, digest: str, head_redirect: bool) -> None:
        swr.set_knobs(head_redirect=head_redirect)
        answer = door.ask("HEAD", target)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("Content-Length") == str(len(BLOB))
        assert answer.header("Docker-Content-Digest") == digest


@pytest.fixture(scope="module")
def passing_adapter(regions: dict[str, dict[str, str]]) -> Iterator[RunningAdapter]:
    with running_adapter(regions, blob_redirects="pass", log_level="debug") as adapter:
        yield adapter


class TestPassedRedirects:
    @pytest.fixture
    def passing(self, passing_adapter: RunningAdapter) -> Door:
        return Door(passing_adapter.contract)

    @pytest.mark.parametrize("redirect", ["307", "302"])
    def test_client_gets_the_address_of_the_store_and_no_log_does(
        self, passing: Door, passing_adapter: RunningAdapter, swr: RunningSandbox, target: str, redirect: str
    ) -> None:
        swr.set_knobs(blob_redirect=redirect)
        answer = passing.ask("GET", target)
        assert (answer.status, answer.body) == (307, b"")
        location = answer.header("Location")
        assert location.startswith(f"{swr.objects}/")
        assert answer.header("Cache-Control") == "no-store"
        assert [entry for entry in swr.journal() if entry["origin"] == "objects"] == []
        request = urllib.request.Request(location, headers={"Range": "bytes=5-9"})
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.read() == BLOB[5:10]
        (signature,) = parse_qs(urlsplit(location).query)["Signature"]
        eventually(lambda: f"{target}" in passing_adapter.service.output)
        output = passing_adapter.service.output
        assert signature not in output
        assert quote(signature, safe="") not in output

    def test_without_a_redirect_the_blob_is_streamed(self, passing: Door, swr: RunningSandbox, target: str) -> None:
        swr.set_knobs(blob_redirect="off")
        answer = passing.ask("GET", target)
        assert (answer.status, answer.body) == (200, BLOB)

    def test_missing_blob_and_head(self, passing: Door, repository: str, target: str) -> None:
        missing = digest_of(b"missing")
        refused(passing.ask("GET", f"/v2/{repository}/blobs/{missing}"), 404, missing, code="BLOB_UNKNOWN")
        answer = passing.ask("HEAD", target)
        assert (answer.status, answer.header("Content-Length")) == (200, str(len(BLOB)))

    @pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://", "/v2/elsewhere"])
    def test_redirects_that_are_not_passed(
        self, passing: Door, swr: RunningSandbox, target: str, location: str
    ) -> None:
        """Invalid ones, and those to the registry, for which the client has no token."""
        headers = {"Location": location} if location else {}
        swr.faults({"path": "/blobs/", "status": 307, "headers": headers, "times": 0})
        refused(passing.ask("GET", target), {401, 403, 404, 502, 503})

    def test_host_that_the_region_does_not_list(self, start: Start, swr: RunningSandbox, target: str) -> None:
        regions = {"eu-de": {"registry": swr.registry, "api": swr.api, "objects": ["127.0.0.3"]}}
        door = Door(start(regions, blob_redirects="pass").contract)
        refused(door.ask("GET", target), 502, "127.0.0.2", "objects")


class TestTruncated:
    @pytest.mark.parametrize("after", [1, 1_500_000, len(BLOB) - 1])
    @pytest.mark.parametrize("knobs", [{}, {"blob_redirect": "off"}, {"objects_length": False}], ids=str)
    def test_truncated_response_of_swr_is_an_error(
        self, door: Door, swr: RunningSandbox, target: str, after: int, knobs: dict[str, Any]
    ) -> None:
        swr.set_knobs(**knobs)
        origin, path = ("registry", "/blobs/") if "blob_redirect" in knobs else ("objects", "")
        swr.faults({"origin": origin, "path": path, "method": "GET", "cut_after_bytes": after, "times": 0})
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            door.ask("GET", target)
        swr.faults()
        assert door.ask("GET", target).body == BLOB


class TestClientThatDisconnects:
    @pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
    def test_closing_the_response_closes_that_of_swr(self, read: bool) -> None:
        """At once, not at garbage collection."""
        upstream: list[requests.Response] = []

        class RecordingSwr(StubSwr):
            def open_blob(self, *called: Any) -> requests.Response:
                upstream.append(super().open_blob(*called))
                return upstream[0]

        app = create_contract_app(Settings(), cast("SwrClient", RecordingSwr()))
        response = Client(app).get(f"/v2/team/app/blobs/{DIGEST}", headers={"Authorization": basic()}, buffered=False)
        assert response.status_code == 200
        if read:
            assert next(response.iter_encoded())
        assert not upstream[0].raw.closed
        response.close()
        assert upstream[0].raw.closed

    def test_little_is_fetched_beyond_what_the_client_reads(
        self, door: Door, swr: RunningSandbox, repository: str, sent: Callable[[int], list[int]]
    ) -> None:
        digest = swr.store.put_blob(repository, bytes(64 << 20))
        with begun(door, f"/v2/{repository}/blobs/{digest}"):
            eventually(lambda: any(entry["origin"] == "objects" for entry in swr.journal()))
            open_before = open_connections(swr.objects)
        eventually(lambda: open_connections(swr.objects) < open_before)
        # What fits into kernel buffers, not the blob.
        assert sent(1)[0] < 32 << 20
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


def open_connections(url: str) -> int:
    """Established connections of this machine to the port of a URL."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[3] == "01" and int(line[2].partition(":")[2], 16) == urlsplit(url).port for line in lines)
