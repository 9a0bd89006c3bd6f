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
ME = parse_credentials(ACCESS_ID, SECRET_KEY, [PROJECT])
FIRST, SECOND = (Repository(ME, RepositoryName("org", path)) for path in ("app", "deep/er"))


@pytest.fixture
def locations() -> BlobLocations:
    return BlobLocations(MemoryState())


def test_repository_seen_last_is_found(locations: BlobLocations) -> None:
    assert locations.find(ME, DIGEST) is None
    locations.record(FIRST, DIGEST)
    locations.record(SECOND, DIGEST)
    assert locations.find(ME, DIGEST) == SECOND.name
    assert locations.find(ME, digest_of(b"another")) is None
    locations.discard(FIRST, DIGEST)
    assert locations.find(ME, DIGEST) == SECOND.name
    locations.discard(SECOND, DIGEST)
    assert locations.find(ME, DIGEST) is None


def test_outcome_of_a_request_is_recorded(locations: BlobLocations) -> None:
    with locations.recording(FIRST, DIGEST):
        assert locations.find(ME, DIGEST) is None
    assert locations.find(ME, DIGEST) == FIRST.name
    with pytest.raises(Unavailable), locations.recording(FIRST, DIGEST):
        raise Unavailable("says nothing about the blob")
    assert locations.find(ME, DIGEST) == FIRST.name
    with pytest.raises(BlobUnknown), locations.recording(FIRST, DIGEST):
        raise BlobUnknown("gone")
    assert locations.find(ME, DIGEST) is None


@pytest.mark.parametrize(
    "other",
    [
        parse_credentials(f"{PROJECT}@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, [PROJECT]),
        parse_credentials(ACCESS_ID, WRONG_SECRET, [PROJECT]),
        parse_credentials(ACCESS_ID.replace(PROJECT, f"{PROJECT}_team"), SECRET_KEY, [PROJECT]),
    ],
    ids=["another access key", "a wrong secret", "another project"],
)
def test_other_credentials_find_nothing(locations: BlobLocations, other: Credentials) -> None:
    locations.record(FIRST, DIGEST)
    assert locations.find(other, DIGEST) is None
    locations.discard(Repository(other, FIRST.name), DIGEST)
    assert locations.find(ME, DIGEST) == FIRST.name


def test_keys_of_the_state_contain_no_secret() -> None:
    state = MemoryState()
    BlobLocations(state).record(FIRST, DIGEST)
    (key,) = state._values
    assert not any(secret in key for secret in (SECRET_KEY, LOGIN_KEY))


@pytest.mark.parametrize("value", [b"", b"\xff", b"../../etc", b"no-organization", b"org/app?x=1", b"org/app\r\nX: y"])
def test_invalid_values_in_the_state_are_ignored(value: bytes) -> None:
    class Planted(MemoryState):
        def get(self, key: str) -> bytes | None:
            return value

    assert BlobLocations(Planted()).find(ME, DIGEST) is None
