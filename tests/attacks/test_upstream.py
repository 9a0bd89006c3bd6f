"""Answers of SWR, its object store, or what stands in between, as no HTTP allows them: a clear 502, nothing is held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.errors import Unexpected
from adapter.identity import Identity, parse_identity
from adapter.names import Repository, digest_of
from tests.attacks.raw import RawServer, answer, raw_server
from tests.contract.http import Door, refused
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import running_adapter

REPOSITORY = Repository("team", "app")
LAYER = b"a layer"
DIGEST = digest_of(LAYER)
BLOB = f"GET /v2/team/app/blobs/{DIGEST}"
MANIFEST = "GET /v2/team/app/manifests/v1"


@pytest.fixture
def swr() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


@pytest.fixture
def identity() -> Identity:
    return parse_identity(ACCESS_ID, SECRET_KEY, ["eu-de"])


class TestHeaders:
    @pytest.mark.parametrize(
        "field",
        [
            "Content-Type: a/\x01b",
            "Content-Type: a/\xe4",
            "Content-Type: a/b\r\n c",
            "Content-Range: bytes\x7f0-1/2",
            "Accept-Ranges: b\x00ytes",
            "Content-Encoding: \x85",
            "Docker-Content-Digest: sha256:\x9b",
            "X-Other: \x1b[31m",
        ],
        ids=ascii,
    )
    def test_what_no_server_may_send_on_is_refused(self, swr: RawServer, identity: Identity, field: str) -> None:
        swr.answer(BLOB, answer("200 OK", field, body=LAYER))
        with pytest.raises(Unexpected, match=f"returned an invalid {field.partition(':')[0]} header"):
            swr.client().registry.open_blob(identity, REPOSITORY, DIGEST)
        assert len(swr.asked) == 1, "a head that is no good does not get better"

    def test_what_is_not_sent_on_may_hold_more_than_ascii(self, swr: RawServer, identity: Identity) -> None:
        swr.answer(BLOB, answer("200 OK", "Content-Disposition: \xe4\r\n folded", "X-Tab: a\tb", body=LAYER))
        swr.client().registry.open_blob(identity, REPOSITORY, DIGEST).close()

    def test_no_slot_of_a_transfer_is_lost(self, swr: RawServer) -> None:
        regions = {PROJECT: {"registry": swr.url, "api": swr.url}}
        bad = answer("200 OK", "Content-Type: a/\x01b", body=LAYER)
        swr.answer(BLOB, *[bad] * 4, answer("200 OK", body=LAYER))
        with running_adapter(regions, threads=4) as adapter:
            door = Door(adapter.contract)
            path = f"/v2/team/app/blobs/{DIGEST}"
            for _ in range(4):
                refused(door.ask("GET", path), 502, "Content-Type")
            assert door.ask("GET", path).body == LAYER
            assert adapter.service.output.count('"status": 502') == 4
