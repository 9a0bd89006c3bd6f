"""Mounts against the sandbox, for each way in which SWR may answer them; what Harbor is told must be true each time."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from adapter.contract.concurrency import Slots
from adapter.credentials import Credentials, parse_credentials
from adapter.errors import (
    BlobUnknown,
    Busy,
    Denied,
    InvalidRequest,
    NotFound,
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
from adapter.transfer.mount import Mounts
from adapter.transfer.upload_session import UploadSession
from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.running import OTHER_TENANT, TENANT, RunningSandbox

ME = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
OTHER = parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT])
DATA = random.Random(3).randbytes(400_001)
SMALL = b"a config"
DIGEST = digest_of(DATA)
SOURCE = RepositoryName("team", "source")
_numbers = itertools.count()


@pytest.fixture
def swr(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    sandbox.store.put_blob(str(SOURCE), DATA)
    yield sandbox
    sandbox.reset()


@pytest.fixture
def target() -> RepositoryName:
    return RepositoryName("team", f"target{next(_numbers)}")


class Adapter:
    """What of an adapter takes part in a mount."""

    def __init__(self, swr: RunningSandbox, mode: str = "auto", **settings: Any) -> None:
        regions = {PROJECT: RegionHosts(swr.registry, swr.api)}
        self.client = SwrClient.build(Settings(**{"regions": regions, "requests_per_second": 0.0, **settings}))
        self.locations = BlobLocations(self.client.state)
        self.mounts = Mounts(self.client, self.locations, mode, threading.Semaphore(1))

    def offered(self, who: Credentials = ME, digest: str = DIGEST) -> RepositoryName | None:
        return self.mounts.offer(who, digest)

    def mount(
        self,
        target: RepositoryName,
        source: RepositoryName | None = SOURCE,
        digest: str = DIGEST,
        *,
        who: Credentials = ME,
        harbor: bool = True,
    ) -> UploadSession | None:
        return self.mounts.mount(Repository(who, target), digest, source, harbor=harbor)


def asked(swr: RunningSandbox, method: str, path: str = "") -> list[dict[str, Any]]:
    return [each for each in swr.journal() if each["method"] == method and path in each["path"]]


def open_uploads(swr: RunningSandbox) -> int:
    return len(swr.store.uploads())


class TestOffers:
    def test_what_was_seen(self, swr: RunningSandbox) -> None:
        adapter = Adapter(swr)
        assert adapter.offered() is None
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        assert adapter.offered() == SOURCE
        assert adapter.offered(OTHER) is None

    def test_never(self, swr: RunningSandbox) -> None:
        adapter = Adapter(swr, "never")
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        assert adapter.offered() is None

    @pytest.mark.parametrize(("mode", "offers"), [("auto", None), ("copy", SOURCE)])
    def test_an_account_that_cannot_mount(
        self, swr: RunningSandbox, target: RepositoryName, mode: str, offers: RepositoryName | None
    ) -> None:
        adapter = Adapter(swr, mode)
        assert adapter.mount(target) is None
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        adapter.locations.saw(Repository(OTHER, SOURCE), DIGEST)
        assert adapter.offered() == offers
        assert adapter.offered(OTHER) == SOURCE

    def test_an_account_that_can(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.set_knobs(mount="201")
        adapter = Adapter(swr)
        assert adapter.mount(target) is None
        assert adapter.offered() == target


class TestMounted:
    @pytest.mark.parametrize("scopes", ["all", "first", "refused"])
    @pytest.mark.parametrize("mount_scope", [True, False])
    def test_by_swr(self, swr: RunningSandbox, target: RepositoryName, scopes: str, mount_scope: bool) -> None:
        swr.set_knobs(mount="201", scopes=scopes, mount_scope=mount_scope)
        assert Adapter(swr).mount(target) is None
        assert swr.store.read_blob(str(target), DIGEST) == DATA
        copied = asked(swr, "PUT", "/blobs/uploads/")
        assert bool(copied) == (mount_scope and scopes != "all")
        assert open_uploads(swr) == 0

    def test_a_second_one_costs_one_request(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.set_knobs(mount="201")
        swr.store.put_blob(str(SOURCE), SMALL)
        adapter = Adapter(swr)
        adapter.mount(target)
        before = len(swr.journal())
        adapter.mount(target, digest=digest_of(SMALL))
        assert len(swr.journal()) == before + 1

    def test_an_answer_that_names_no_blob_is_looked_after(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.set_knobs(mount="silent")
        assert Adapter(swr).mount(target) is None
        assert asked(swr, "HEAD", f"/{target}/blobs/")
        assert asked(swr, "PUT") == []

    @pytest.mark.parametrize("answer", ["202", "false", "405"])
    @pytest.mark.parametrize("mode", ["auto", "copy"])
    @pytest.mark.parametrize("data", [DATA, SMALL, b""], ids=["large", "small", "empty"])
    def test_by_copying(self, swr: RunningSandbox, target: RepositoryName, answer: str, mode: str, data: bytes) -> None:
        swr.set_knobs(mount=answer)
        digest = swr.store.put_blob(str(SOURCE), data)
        adapter = Adapter(swr, mode)
        assert adapter.mount(target, digest=digest) is None
        assert swr.store.read_blob(str(target), digest) == data
        assert open_uploads(swr) == 0

    def test_the_upload_that_swr_opened_is_used(self, swr: RunningSandbox, target: RepositoryName) -> None:
        Adapter(swr).mount(target)
        assert len(asked(swr, "POST", "/blobs/uploads/")) == 1

    def test_swr_is_not_asked_again_for_what_it_cannot(self, swr: RunningSandbox, target: RepositoryName) -> None:
        adapter = Adapter(swr, "copy")
        adapter.mount(target)
        adapter.mount(RepositoryName("team", f"{target.path}-2"))
        assert ["mount" in dict(each["query"]) for each in asked(swr, "POST", "/blobs/uploads/")] == [True, False]

    @pytest.mark.parametrize("redirect", ["307", "off"])
    def test_wherever_the_blob_is_kept(self, swr: RunningSandbox, target: RepositoryName, redirect: str) -> None:
        swr.set_knobs(blob_redirect=redirect)
        assert Adapter(swr).mount(target) is None
        assert swr.store.read_blob(str(target), DIGEST) == DATA

    def test_where_the_client_names_no_source(self, swr: RunningSandbox, target: RepositoryName) -> None:
        adapter = Adapter(swr)
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        assert adapter.mount(target, None) is None
        assert swr.store.read_blob(str(target), DIGEST) == DATA


class TestNeverFalsely:
    """Harbor takes any 2xx for mounted, so here each end is None with the blob there, or an error."""

    @pytest.mark.parametrize("answer", ["202", "201", "silent", "false", "405"])
    @pytest.mark.parametrize("mode", ["auto", "copy"])
    def test_a_source_that_has_gone(self, swr: RunningSandbox, target: RepositoryName, answer: str, mode: str) -> None:
        swr.set_knobs(mount=answer)
        adapter = Adapter(swr, mode)
        gone = digest_of(b"gone")
        adapter.locations.saw(Repository(ME, SOURCE), gone)
        assert adapter.offered(digest=gone) == SOURCE
        with pytest.raises(BlobUnknown) as caught:
            adapter.mount(target, digest=gone)
        assert str(SOURCE) in caught.value.sentence
        assert adapter.offered(digest=gone) is None
        assert open_uploads(swr) == 0

    def test_a_source_that_has_gone_says_nothing_about_mounts(
        self, swr: RunningSandbox, target: RepositoryName
    ) -> None:
        adapter = Adapter(swr)
        with pytest.raises(BlobUnknown):
            adapter.mount(target, digest=digest_of(b"gone"))
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        assert adapter.offered() == SOURCE

    @pytest.mark.parametrize("harbor", [True, False])
    @pytest.mark.parametrize("answer", ["202", "201"])
    def test_another_accounts_source(
        self, swr: RunningSandbox, target: RepositoryName, answer: str, harbor: bool
    ) -> None:
        swr.set_knobs(mount=answer)
        swr.store.create_organization("theirs", OTHER_TENANT)
        digest = swr.store.put_blob("theirs/secret", b"their secret layer")
        try:
            session = Adapter(swr, "copy").mount(target, RepositoryName("theirs", "secret"), digest, harbor=harbor)
        except (NotFound, Denied) as error:
            assert error.status in (403, 404)
            assert harbor
        else:
            assert session is not None
            assert not harbor
        assert not swr.store.has_blob(str(target), digest)

    def test_a_target_of_another_account(self, swr: RunningSandbox) -> None:
        swr.store.create_organization("theirs", OTHER_TENANT)
        with pytest.raises((Denied, OrganizationUnknown)):
            Adapter(swr).mount(RepositoryName("theirs", "app"))

    @pytest.mark.parametrize("check_digest", [True, False])
    def test_a_damaged_source(self, swr: RunningSandbox, target: RepositoryName, check_digest: bool) -> None:
        swr.set_knobs(check_digest=check_digest)
        swr.store.blob_path(str(SOURCE), DIGEST).write_bytes(DATA[:-1] + b"!")
        adapter = Adapter(swr)
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        with pytest.raises(Unexpected) as caught:
            adapter.mount(target)
        assert "cannot be copied" in caught.value.sentence
        assert not swr.store.has_blob(str(target), DIGEST)
        assert adapter.offered() is None

    def test_a_source_that_breaks_off(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.faults({"origin": "objects", "method": "GET", "cut_after_bytes": 100_000})
        with pytest.raises(Unexpected):
            Adapter(swr).mount(target)
        assert not swr.store.has_blob(str(target), DIGEST)

    def test_an_upload_that_swr_refuses(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.faults({"method": "PUT", "path": "/blobs/uploads/", "status": 500})
        adapter = Adapter(swr, "copy")
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        with pytest.raises(Unavailable):
            adapter.mount(target)
        # Otherwise Harbor would come back to the same offer, and never send the layer itself.
        assert adapter.offered() is None

    def test_never_means_never(self, swr: RunningSandbox, target: RepositoryName) -> None:
        with pytest.raises(InvalidRequest):
            Adapter(swr, "never").mount(target)
        assert swr.journal() == []

    def test_nothing_is_known(self, swr: RunningSandbox, target: RepositoryName) -> None:
        with pytest.raises(BlobUnknown):
            Adapter(swr).mount(target, None)
        assert swr.journal() == []


class TestOtherClients:
    """What the OCI distribution spec has: 202 and an upload where nothing is mounted."""

    @pytest.mark.parametrize("mode", ["auto", "copy", "never"])
    def test_an_upload_is_open(self, swr: RunningSandbox, target: RepositoryName, mode: str) -> None:
        gone = digest_of(b"gone")
        session = Adapter(swr, mode).mount(target, digest=gone, harbor=False)
        assert session is not None
        assert open_uploads(swr) == 1
        assert len(asked(swr, "POST", "/blobs/uploads/")) == 1

    def test_swrs_answer_is_passed_on(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.set_knobs(mount="201")
        assert Adapter(swr).mount(target, harbor=False) is None
        assert swr.store.has_blob(str(target), DIGEST)

    def test_nothing_is_copied_for_them_unless_it_is_to_be(self, swr: RunningSandbox, target: RepositoryName) -> None:
        assert Adapter(swr, "auto").mount(target, harbor=False) is not None
        assert not swr.store.has_blob(str(target), DIGEST)
        assert Adapter(swr, "copy").mount(target, harbor=False) is None
        assert swr.store.has_blob(str(target), DIGEST)

    @pytest.mark.parametrize("answer", ["false", "405"])
    def test_refusals_and_false_answers(self, swr: RunningSandbox, target: RepositoryName, answer: str) -> None:
        swr.set_knobs(mount=answer)
        assert Adapter(swr).mount(target, harbor=False) is not None

    def test_one_that_was_invited_is_answered_as_harbor_is(self, swr: RunningSandbox, target: RepositoryName) -> None:
        adapter = Adapter(swr)
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        assert adapter.offered() == SOURCE
        swr.store.blob_path(str(SOURCE), DIGEST).unlink()
        with pytest.raises(BlobUnknown):
            adapter.mount(target, harbor=False)

    @pytest.mark.parametrize("source", [None, RepositoryName("team", "elsewhere")])
    def test_one_that_names_another_source_was_not_invited(
        self, swr: RunningSandbox, target: RepositoryName, source: RepositoryName | None
    ) -> None:
        adapter = Adapter(swr)
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        assert adapter.offered() == SOURCE
        swr.store.blob_path(str(SOURCE), DIGEST).unlink()
        assert adapter.mount(target, source, harbor=False) is not None

    def test_none_is_known_and_none_was_named(self, swr: RunningSandbox, target: RepositoryName) -> None:
        assert Adapter(swr).mount(target, None, harbor=False) is not None


class TestThrottled:
    def test_a_copy_is_within_the_rate_limit(
        self, swr: RunningSandbox, target: RepositoryName, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take = RateLimit.take
        monkeypatch.setattr(RateLimit, "take", lambda self, account, _: take(self, account, 0.01))
        # The first token counts for nobody; the other one, the mount and the blob: the PUT has no turn.
        with pytest.raises(Throttled):
            Adapter(swr, requests_per_second=3).mount(target)
        assert not swr.store.has_blob(str(target), DIGEST)

    @pytest.mark.parametrize("mode", ["auto", "copy"])
    def test_no_place_for_a_transfer(self, swr: RunningSandbox, target: RepositoryName, mode: str) -> None:
        adapter, full = Adapter(swr, mode), partial(Slots(0, "transfers").take, ME)
        adapter.locations.saw(Repository(ME, SOURCE), DIGEST)
        with pytest.raises(Busy):
            adapter.mounts.mount(Repository(ME, target), DIGEST, SOURCE, harbor=True, transfer=full)
        assert open_uploads(swr) == 0
        # It says nothing about the blob, and Harbor comes again.
        assert adapter.offered() == SOURCE

    def test_what_swr_mounts_needs_none(self, swr: RunningSandbox, target: RepositoryName) -> None:
        swr.set_knobs(mount="201")
        full = partial(Slots(0, "transfers").take, ME)
        assert Adapter(swr).mounts.mount(Repository(ME, target), DIGEST, SOURCE, harbor=True, transfer=full) is None

    @pytest.mark.parametrize("status", [429, 503])
    def test_swr_that_is_busy_is_asked_again(self, swr: RunningSandbox, target: RepositoryName, status: int) -> None:
        swr.set_knobs(mount="201")
        swr.faults({"method": "POST", "path": "/blobs/uploads/", "status": status, "times": 2})
        assert Adapter(swr).mount(target) is None
        assert asked(swr, "PUT") == []
