"""Downloads: exact, streamed, and never a part that passes for the whole."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.conftest import put_back
from tests.contract.http import Door, asked, digest_of, eventually, refused
from tests.running import RunningAdapter, RunningSandbox

BLOB = random.Random(2).randbytes(3_000_001)


@pytest.fixture
def digest(swr: RunningSandbox, repository: str) -> str:
    """A blob of three megabytes is in SWR."""
    return swr.store.put_blob(repository, BLOB)


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

    def test_a_range_beyond_the_end(self, door: Door, repository: str, digest: str) -> None:
        answer = door.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": "bytes=9999999-"})
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
        lines = [json.loads(line) for line in usual_adapter.service.output[logged:].splitlines()]
        (line,) = [line for line in lines if line["message"] == "request"]
        assert line["sent"] < len(large)
        assert door.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


def open_connections(url: str) -> int:
    """Established connections of this machine to the port of a URL."""
    port = urlsplit(url).port
    return sum(remote == port for remote in _remote_ports())


def _remote_ports() -> Iterator[int]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, *_ = line.split()
        if state == "01":
            yield int(remote.partition(":")[2], 16)
