"""Mounts against the sandbox, for each way in which SWR may respond to them: what Harbor is told must be true."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from adapter.contract.concurrency import Slots
from adapter.credentials import Credentials, parse_credentials
from adapter.errors import (
    AdapterError,
    BlobUnknown,
    Busy,
    Denied,
    InvalidRequest,
    OrganizationUnknown,
    Throttled,
    Unavailable,
    Unexpected,
)
from adapter.references import RepositoryName, digest_of
from adapter.settings import RegionHosts, Settings
from adapter.swr.client import SwrClient
from adapter.swr.rate_limit import RateLimit
from adapter.swr.repository import Repository
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.mount import Mounts, Transfer
from adapter.transfer.upload_session import UploadSession
from tests.contract.http import asked
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.running import OTHER_TENANT, TENANT, RunningSandbox

ME = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHER = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])
DATA = random.Random(3).randbytes(400_001)
SMALL = b"a config"
DIGEST, GONE = digest_of(DATA), digest_of(b"gone")
SOURCE, TARGET = RepositoryName("team", "source"), RepositoryName("team", "target")


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    sandbox.store.put_blob(str(SOURCE), DATA)
    yield sandbox
    sandbox.reset()


class Adapter:
    """The parts of an adapter that take part in a mount."""

    def __init__(self, swr: RunningSandbox, mode: str = "auto", **settings: Any) -> None:
        regions = {PROJECT: RegionHosts(swr.registry, swr.api)}
        client = SwrClient.build(Settings(**{"regions": regions, "requests_per_second": 0.0, **settings}))
        self.locations = BlobLocations(client.state)
        self.mounts = Mounts(client, self.locations, mode, threading.Semaphore(1))

    def offer(self, who: Credentials = ME, digest: str = DIGEST, *, seen: bool = True) -> RepositoryName | None:
        """What is offered, by default after the blob was seen in the source."""
        if seen:
            self.locations.record(Repository(who, SOURCE), digest)
        return self.mounts.offer(who, digest)

    def mount(
        self,
        source: RepositoryName | None = SOURCE,
        digest: str = DIGEST,
        *,
        target: RepositoryName = TARGET,
        harbor: bool = True,
        transfer: Transfer = contextlib.nullcontext,
    ) -> UploadSession | None:
        return self.mounts.mount(Repository(ME, target), digest, source, harbor=harbor, transfer=transfer)


def open_uploads(swr: RunningSandbox) -> int:
    return len(swr.store.uploads())


class TestOffers:
    def test_seen_blob_is_offered_to_the_same_credentials(self, swr: RunningSandbox) -> None:
        adapter = Adapter(swr)
        assert adapter.offer(seen=False) is None
        assert adapter.offer() == SOURCE
        assert adapter.offer(OTHER, seen=False) is None
        assert Adapter(swr, "never").offer() is None

    @pytest.mark.parametrize(("mode", "offered"), [("auto", None), ("copy", SOURCE)])
    def test_without_support_in_swr(self, swr: RunningSandbox, mode: str, offered: RepositoryName | None) -> None:
        adapter = Adapter(swr, mode)
        assert adapter.mount() is None
        assert adapter.offer() == offered
        assert adapter.offer(OTHER) == SOURCE

    def test_mounted_blob_is_offered_from_its_target(self, swr: RunningSandbox) -> None:
        swr.set_knobs(mount="201")
        adapter = Adapter(swr)
        assert adapter.mount() is None
        assert adapter.offer(seen=False) == TARGET


class TestMounted:
    @pytest.mark.parametrize("scopes", ["all", "first", "refused"])
    @pytest.mark.parametrize("mount_scope", [True, False])
    def test_by_swr(self, swr: RunningSandbox, scopes: str, mount_scope: bool) -> None:
        swr.set_knobs(mount="201", scopes=scopes, mount_scope=mount_scope)
        assert Adapter(swr).mount() is None
        assert swr.store.read_blob(str(TARGET), DIGEST) == DATA
        assert bool(asked(swr, "PUT", "/blobs/uploads/")) == (mount_scope and scopes != "all")
        assert open_uploads(swr) == 0

    def test_second_mount_costs_one_request(self, swr: RunningSandbox) -> None:
        swr.set_knobs(mount="201")
        swr.store.put_blob(str(SOURCE), SMALL)
        adapter = Adapter(swr)
        adapter.mount()
        before = len(swr.journal())
        adapter.mount(digest=digest_of(SMALL))
        assert len(swr.journal()) == before + 1

    def test_success_without_a_digest_is_checked(self, swr: RunningSandbox) -> None:
        swr.set_knobs(mount="silent")
        assert Adapter(swr).mount() is None
        assert asked(swr, "HEAD", f"/{TARGET}/blobs/")
        assert asked(swr, "PUT") == []

    @pytest.mark.parametrize(
        ("response", "mode", "data", "redirect"),
        [
            ("202", "auto", DATA, "307"),
            ("202", "copy", SMALL, "off"),
            ("202", "auto", b"", "307"),
            ("false", "auto", SMALL, "307"),
            ("false", "copy", DATA, "307"),
            ("405", "auto", DATA, "off"),
            ("405", "copy", b"", "307"),
        ],
    )
    def test_by_copying(self, swr: RunningSandbox, response: str, mode: str, data: bytes, redirect: str) -> None:
        swr.set_knobs(mount=response, blob_redirect=redirect)
        digest = swr.store.put_blob(str(SOURCE), data)
        assert Adapter(swr, mode).mount(digest=digest) is None
        assert swr.store.read_blob(str(TARGET), digest) == data
        assert open_uploads(swr) == 0

    def test_copy_uses_the_upload_that_swr_opened(self, swr: RunningSandbox) -> None:
        adapter = Adapter(swr, "copy")
        adapter.mount()
        assert len(asked(swr, "POST", "/blobs/uploads/")) == 1
        # SWR does not support mounts: the next one is not tried.
        adapter.mount(target=RepositoryName("team", "second"))
        assert ["mount" in dict(each["query"]) for each in asked(swr, "POST", "/blobs/uploads/")] == [True, False]

    def test_client_may_leave_out_the_source(self, swr: RunningSandbox) -> None:
        adapter = Adapter(swr)
        assert adapter.offer() == SOURCE
        assert adapter.mount(None) is None
        assert swr.store.read_blob(str(TARGET), DIGEST) == DATA


class TestNoFalseSuccess:
    """Harbor takes any 2xx for a completed mount: so the blob is in the target, or there is an error."""

    @pytest.mark.parametrize(
        ("response", "mode"),
        [("202", "auto"), ("201", "copy"), ("silent", "auto"), ("false", "copy"), ("405", "auto"), ("405", "copy")],
    )
    def test_blob_that_is_gone(self, swr: RunningSandbox, response: str, mode: str) -> None:
        swr.set_knobs(mount=response)
        adapter = Adapter(swr, mode)
        assert adapter.offer(digest=GONE) == SOURCE
        with pytest.raises(BlobUnknown) as caught:
            adapter.mount(digest=GONE)
        assert str(SOURCE) in caught.value.sentence
        assert adapter.offer(digest=GONE, seen=False) is None
        assert open_uploads(swr) == 0
        # It tells nothing about the support of mounts.
        assert adapter.offer() == SOURCE

    def test_target_of_another_tenant(self, swr: RunningSandbox) -> None:
        swr.store.create_organization("theirs", OTHER_TENANT)
        with pytest.raises((Denied, OrganizationUnknown)):
            Adapter(swr).mount(target=RepositoryName("theirs", "app"))

    @pytest.mark.parametrize(
        ("knobs", "fault", "error"),
        [
            ({"check_digest": True}, None, Unexpected),
            ({"check_digest": False}, None, Unexpected),
            ({}, {"origin": "objects", "method": "GET", "cut_after_bytes": 100_000}, Unexpected),
            ({}, {"method": "PUT", "path": "/blobs/uploads/", "status": 500}, Unavailable),
        ],
        ids=["damaged source", "damaged source, digest not checked", "source that breaks off", "rejected upload"],
    )
    def test_copy_that_fails(
        self,
        swr: RunningSandbox,
        knobs: dict[str, object],
        fault: dict[str, object] | None,
        error: type[AdapterError],
    ) -> None:
        swr.set_knobs(**knobs)
        if fault is None:
            swr.store.blob_path(str(SOURCE), DIGEST).write_bytes(DATA[:-1] + b"!")
        else:
            swr.faults(fault)
        adapter = Adapter(swr, "copy")
        assert adapter.offer() == SOURCE
        with pytest.raises(error) as caught:
            adapter.mount()
        assert fault is not None or "cannot be copied" in caught.value.sentence
        assert not swr.store.has_blob(str(TARGET), DIGEST)
        # If it were offered again, Harbor would never upload the layer.
        assert adapter.offer(seen=False) is None

    @pytest.mark.parametrize(
        ("mode", "source", "error"), [("never", SOURCE, InvalidRequest), ("auto", None, BlobUnknown)]
    )
    def test_without_a_request_to_swr(
        self,
        swr: RunningSandbox,
        mode: str,
        source: RepositoryName | None,
        error: type[AdapterError],
    ) -> None:
        with pytest.raises(error):
            Adapter(swr, mode).mount(source)
        assert swr.journal() == []


class TestOtherClients:
    """As in the OCI distribution spec: 202 and an upload if nothing is mounted."""

    @pytest.mark.parametrize(
        ("mode", "response", "source", "digest"),
        [
            *((mode, "202", SOURCE, GONE) for mode in ("auto", "copy", "never")),
            ("auto", "202", SOURCE, DIGEST),
            ("auto", "false", SOURCE, DIGEST),
            ("auto", "405", SOURCE, DIGEST),
            ("auto", "202", None, DIGEST),
        ],
    )
    def test_upload_is_opened(
        self,
        swr: RunningSandbox,
        mode: str,
        response: str,
        source: RepositoryName | None,
        digest: str,
    ) -> None:
        swr.set_knobs(mount=response)
        assert Adapter(swr, mode).mount(source, digest, harbor=False) is not None
        assert open_uploads(swr) == 1
        assert len(asked(swr, "POST", "/blobs/uploads/")) == 1 + (response in ("false", "405"))
        assert not swr.store.has_blob(str(TARGET), DIGEST)

    @pytest.mark.parametrize("source", [SOURCE, None, RepositoryName("team", "elsewhere")])
    def test_only_the_offered_source_is_treated_as_harbors(
        self, swr: RunningSandbox, source: RepositoryName | None
    ) -> None:
        adapter = Adapter(swr)
        assert adapter.offer() == SOURCE
        swr.store.blob_path(str(SOURCE), DIGEST).unlink()
        if source == SOURCE:
            with pytest.raises(BlobUnknown):
                adapter.mount(source, harbor=False)
        else:
            assert adapter.mount(source, harbor=False) is not None


class TestLimits:
    def test_copy_observes_the_rate_limit(self, swr: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        take = RateLimit.take
        monkeypatch.setattr(RateLimit, "take", lambda self, account, _: take(self, account, 0.01))
        # The first token does not count; the second one, the mount and the blob do, and nothing is left for the PUT.
        with pytest.raises(Throttled):
            Adapter(swr, requests_per_second=3).mount()
        assert not swr.store.has_blob(str(TARGET), DIGEST)

    @pytest.mark.parametrize("mode", ["auto", "copy"])
    def test_copy_needs_a_slot(self, swr: RunningSandbox, mode: str) -> None:
        adapter, full = Adapter(swr, mode), partial(Slots(0, "transfers").reserve, ME)
        assert adapter.offer() == SOURCE
        with pytest.raises(Busy):
            adapter.mount(transfer=full)
        assert open_uploads(swr) == 0
        # It tells nothing about the blob, and Harbor repeats the request.
        assert adapter.offer(seen=False) == SOURCE
        swr.set_knobs(mount="201")
        assert Adapter(swr, mode).mount(transfer=full) is None

    @pytest.mark.parametrize("status", [429, 503])
    def test_busy_swr_is_tried_again(self, swr: RunningSandbox, status: int) -> None:
        swr.set_knobs(mount="201")
        swr.faults({"method": "POST", "path": "/blobs/uploads/", "status": status, "times": 2})
        assert Adapter(swr).mount() is None
        assert asked(swr, "PUT") == []
