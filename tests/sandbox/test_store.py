from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from adapter.sandbox.store import Store
from adapter.sandbox.upload_files import OpenUpload, UploadBusyError, UploadGoneError
from tests.sandbox.client import DOCKER, digest_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def test_organizations_are_stored_and_deleted(store: Store) -> None:
    assert store.organization("fresh") is None
    store.create_organization("fresh", "tenant", "creator", {"AK": 1})
    store.create_organization("a.b")
    assert [each.name for each in store.organizations()] == ["a.b", "fresh"]
    found = store.organization("fresh")
    assert found is not None
    assert (found.tenant, found.creator, found.auth) == ("tenant", "creator", {"AK": 1})
    store.delete_organization("fresh")
    assert [each.name for each in store.organizations()] == ["a.b"]


def test_manifest_is_found_by_tag_and_digest(store: Store) -> None:
    digest = store.put_manifest("fresh/a/b", "v1", b'{ "a":1}', DOCKER)
    assert store.manifest("fresh/a/b", "v1") == store.manifest("fresh/a/b", digest) == (b'{ "a":1}', DOCKER, digest)
    assert store.tags("fresh/a/b") == {"v1": digest}
    assert store.repositories() == ["fresh/a/b"]


def test_moved_tag_keeps_its_creation_time(store: Store) -> None:
    store.put_manifest("fresh/a", "v1", b"1", DOCKER)
    first = store.tag("fresh/a", "v1")
    digest = store.put_manifest("fresh/a", "v1", b"2", DOCKER)
    second = store.tag("fresh/a", "v1")
    assert first is not None
    assert second is not None
    assert (second.digest, second.created) == (digest, first.created)
    assert second.updated > first.updated


@pytest.mark.parametrize(
    "name", ["fresh", "../x/y", "fresh/..", "fresh/A", "fresh//a", "fresh/a$b", "/fresh/a", "a/" + "b" * 200]
)
def test_invalid_repository_never_becomes_a_path(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="invalid repository name"):
        store.put_blob(name, b"")


@pytest.mark.parametrize("name", ["..", "a/b", "", ".x", "A"])
def test_invalid_organization_never_becomes_a_path(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="invalid organization name"):
        store.create_organization(name)
    assert store.organization(name) is None


@pytest.mark.parametrize("reference", ["../x", "", ".a", "sha256:abc", "a" * 129])
def test_invalid_reference_never_becomes_a_path(store: Store, reference: str) -> None:
    with pytest.raises(ValueError, match="invalid tag or digest"):
        store.put_manifest("fresh/a", reference, b"", DOCKER)
    assert store.manifest("fresh/a", reference) is None


def test_upload_grows_and_becomes_a_blob(store: Store) -> None:
    upload = store.upload_files.start("fresh/a")
    upload = store.upload_files.append(upload, [b"one", b"two"])
    assert store.uploads() == [upload]
    assert upload.size == 6
    # Another process has no running hash: it reads what is there.
    assert (
        Store(store.directory).upload_files.digest(upload) == store.upload_files.digest(upload) == digest_of(b"onetwo")
    )
    upload = Store(store.directory).upload_files.append(upload, [b"three"])
    assert store.upload_files.digest(upload) == digest_of(b"onetwothree")
    store.finish_upload(upload, digest_of(b"onetwothree"))
    assert store.uploads() == []
    assert store.read_blob("fresh/a", digest_of(b"onetwothree")) == b"onetwothree"


def test_upload_is_locked_between_check_and_end(store: Store) -> None:
    upload = store.upload_files.start("fresh/hello")

    def finish(written: OpenUpload) -> None:
        assert store.upload_files.digest(written) == digest_of(b"right")
        with pytest.raises(UploadBusyError):
            store.upload_files.append(written, [b"late"])
        store.finish_upload(written, digest_of(b"right"))

    store.upload_files.append(upload, [b"right"], finish)
    assert store.read_blob("fresh/hello", digest_of(b"right")) == b"right"


def test_upload_that_became_a_blob_while_it_was_opened_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second writer has opened the file, and would write into the blob."""
    upload, lock, digest = store.upload_files.start("fresh/hello"), fcntl.flock, digest_of(b"right")

    def late(file: IO[bytes], how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        store.upload_files.append(upload, [b"right"], lambda written: store.finish_upload(written, digest))
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UploadGoneError):
        store.upload_files.append(upload, [b"late"])
    assert store.read_blob("fresh/hello", digest) == b"right"


def test_upload_that_grew_meanwhile_is_busy(store: Store) -> None:
    upload = store.upload_files.start("fresh/hello")
    store.upload_files.append(upload, [b"first"])
    with pytest.raises(UploadBusyError):
        store.upload_files.append(upload, [b"first"])


def test_upload_that_was_discarded_meanwhile_is_gone(store: Store) -> None:
    upload = store.upload_files.start("fresh/a")

    def blocks() -> Iterator[bytes]:
        store.upload_files.discard(upload.id)
        yield b"y"

    with pytest.raises(UploadGoneError):
        store.upload_files.append(upload, blocks())
    with pytest.raises(UploadGoneError):
        store.upload_files.append(upload, [b"x"])
