from __future__ import annotations

import pytest

from adapter.credentials import Credentials, parse_credentials
from adapter.errors import BlobUnknown, Unavailable
from adapter.references import RepositoryName, digest_of
from adapter.state import MemoryState
from adapter.swr.repository import Repository
from adapter.transfer.blob_locations import BlobLocations
from tests.credentials import (
    ACCESS_ID,
    LOGIN_KEY,
    OTHER_ACCESS_KEY,
    OTHER_SECRET_KEY,
    PROJECT,
    SECRET_KEY,
    WRONG_SECRET,
)

DIGEST = digest_of(b"layer")
HERE, THERE = RepositoryName("org", "app"), RepositoryName("org", "deep/er")


def credentials(secret: str = SECRET_KEY, access_id: str = ACCESS_ID) -> Credentials:
    return parse_credentials(access_id, secret, [PROJECT])


def test_the_place_seen_last() -> None:
    locations = BlobLocations(MemoryState())
    assert locations.of(credentials(), DIGEST) is None
    locations.saw(Repository(credentials(), HERE), DIGEST)
    locations.saw(Repository(credentials(), THERE), DIGEST)
    assert locations.of(credentials(), DIGEST) == THERE
    assert locations.of(credentials(), digest_of(b"another")) is None


def test_what_comes_of_asking_swr() -> None:
    locations = BlobLocations(MemoryState())
    with locations.asked(Repository(credentials(), HERE), DIGEST):
        assert locations.of(credentials(), DIGEST) is None
    assert locations.of(credentials(), DIGEST) == HERE
    with pytest.raises(Unavailable), locations.asked(Repository(credentials(), HERE), DIGEST):
        raise Unavailable("says nothing about the blob")
    assert locations.of(credentials(), DIGEST) == HERE
    with pytest.raises(BlobUnknown), locations.asked(Repository(credentials(), HERE), DIGEST):
        raise BlobUnknown("gone")
    assert locations.of(credentials(), DIGEST) is None


def test_only_the_place_that_is_gone_is_forgotten() -> None:
    locations = BlobLocations(MemoryState())
    locations.saw(Repository(credentials(), THERE), DIGEST)
    locations.gone(Repository(credentials(), HERE), DIGEST)
    assert locations.of(credentials(), DIGEST) == THERE
    locations.gone(Repository(credentials(), THERE), DIGEST)
    assert locations.of(credentials(), DIGEST) is None


@pytest.mark.parametrize(
    "other",
    [
        credentials(OTHER_SECRET_KEY, f"{PROJECT}@{OTHER_ACCESS_KEY}"),
        credentials(WRONG_SECRET),
        credentials(access_id=ACCESS_ID.replace(PROJECT, f"{PROJECT}_team")),
    ],
    ids=["another account", "a wrong secret", "another project"],
)
def test_nobody_else_is_told(other: Credentials) -> None:
    locations = BlobLocations(MemoryState())
    locations.saw(Repository(credentials(), HERE), DIGEST)
    assert locations.of(other, DIGEST) is None
    locations.gone(Repository(other, HERE), DIGEST)
    assert locations.of(credentials(), DIGEST) == HERE


def test_no_secret_is_in_a_key() -> None:
    state = MemoryState()
    BlobLocations(state).saw(Repository(credentials(), HERE), DIGEST)
    (key,) = state._values
    assert not any(secret in key for secret in (SECRET_KEY, LOGIN_KEY))


@pytest.mark.parametrize("value", [b"", b"\xff", b"../../etc", b"no-organization", b"org/app?x=1", b"org/app\r\nX: y"])
def test_foreign_values_are_no_place(value: bytes) -> None:
    class Planted(MemoryState):
        def get(self, key: str) -> bytes | None:
            return value

    assert BlobLocations(Planted()).of(credentials(), DIGEST) is None
