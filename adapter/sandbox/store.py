"""The data of the sandbox, only on disk, so that another process can seed and inspect it while the server runs.

Layout below the directory (`$` replaces the `/` of a repository; no name can contain `$`):

    organizations/<name>.json                   id, tenant, creator, auth per access key
    repositories/<repository>/repository.json   times; exists once the repository has, or had, a manifest
    repositories/<repository>/blobs/<hex>
    repositories/<repository>/manifests/<hex>   next to <hex>.json with the media type
    repositories/<repository>/tags/<tag>.json   digest and times
    uploads/<id>/                               see upload_files.py

Files are created by rename, so a reader never sees an incomplete file. A read before a write holds the lock file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from adapter.sandbox.options import DEFAULT_TENANT
from adapter.sandbox.upload_files import OpenUpload, UploadFiles

REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)+")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Organization:
    """`auth`: permissions of single access keys in addition to their role in the tenant: 7 manage, 3 write, 1 read."""

    name: str
    tenant: str
    creator: str
    auth: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> int:
        return number(self.name)


class Manifest(NamedTuple):
    """A manifest as it was pushed, byte for byte."""

    data: bytes
    media_type: str
    digest: str


@dataclass(frozen=True)
class Tag:
    """Times are seconds since 1970."""

    name: str
    digest: str
    created: float
    updated: float


def number(text: str) -> int:
    """A stable id; the ids of SWR are integers (docs/facts/swr.md §4.2, §4.5)."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16) + 1


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _hex(digest: str) -> str:
    match = DIGEST.fullmatch(digest)
    if not match:
        raise ValueError(f"invalid sha256 digest: {digest!r}")
    return match[1]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    Path(name).replace(path)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return found


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    _write(path, json.dumps(value).encode())


class Store:
    """Organizations, repositories, blobs, manifests, tags and open uploads in one directory.

    An invalid name raises ValueError. Blobs belong to one repository, as in SWR (docs/facts/swr.md §6).
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.upload_files = UploadFiles(self.directory / "uploads")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Excludes all other writers, in this process and in others."""
        with (self.directory / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def clear(self) -> None:
        with self.locked():
            for name in ("organizations", "repositories", "uploads"):
                shutil.rmtree(self.directory / name, ignore_errors=True)
        self.upload_files.clear_hashes()

    # organizations

    def _organization_file(self, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
            raise ValueError(f"invalid organization name: {name!r}")
        return self.directory / "organizations" / f"{name}.json"

    def create_organization(
        self, name: str, tenant: str = DEFAULT_TENANT, creator: str = "sandbox", auth: Mapping[str, int] | None = None
    ) -> Organization:
        """Creates or replaces an organization."""
        organization = Organization(name, tenant, creator, dict(auth or {}))
        _write_json(self._organization_file(name), {"tenant": tenant, "creator": creator, "auth": dict(auth or {})})
        return organization

    def organization(self, name: str) -> Organization | None:
        try:
            file = self._organization_file(name)
        except ValueError:
            return None
        found = _read_json(file)
        return Organization(name, found["tenant"], found["creator"], found["auth"]) if found else None

    def organizations(self) -> list[Organization]:
        """The organizations of all tenants, sorted by name."""
        names = sorted(file.stem for file in (self.directory / "organizations").glob("*.json"))
        return [found for name in names if (found := self.organization(name))]

    def delete_organization(self, name: str) -> None:
        self._organization_file(name).unlink(missing_ok=True)

    # repositories

    def _folder(self, repository: str) -> Path:
        if len(repository) > 193 or not REPOSITORY.fullmatch(repository):
            raise ValueError(f"invalid repository name: {repository!r}")
        return self.directory / "repositories" / repository.replace("/", "$")

    def repositories(self, *, listed: bool = True) -> list[str]:
        """Sorted names `organization/name`. `listed`: only repositories that have, or had, a manifest."""
        folders = (self.directory / "repositories").glob("*")
        return sorted(
            folder.name.replace("$", "/") for folder in folders if not listed or (folder / "repository.json").exists()
        )

    def repository_times(self, repository: str) -> tuple[float, float] | None:
        """Times of creation and last change in seconds since 1970; None if the repository does not exist."""
        found = _read_json(self._folder(repository) / "repository.json")
        return (found["created"], found["updated"]) if found else None

    def delete_repository(self, repository: str) -> None:
        with self.locked():
            shutil.rmtree(self._folder(repository), ignore_errors=True)

    # blobs

    def blob_path(self, repository: str, digest: str) -> Path:
        """The path of a blob, whether or not the blob exists."""
        return self._folder(repository) / "blobs" / _hex(digest)

    def has_blob(self, repository: str, digest: str) -> bool:
        return self.blob_path(repository, digest).is_file()

    def blobs(self, repository: str) -> list[str]:
        """Sorted digests."""
        return sorted(f"sha256:{file.name}" for file in (self._folder(repository) / "blobs").glob("[!.]*"))

    def read_blob(self, repository: str, digest: str) -> bytes:
        """:raises FileNotFoundError: when the blob does not exist."""
        return self.blob_path(repository, digest).read_bytes()

    def put_blob(self, repository: str, data: bytes) -> str:
        """Stores a blob and returns its digest."""
        digest = digest_of(data)
        _write(self.blob_path(repository, digest), data)
        return digest

    def copy_blob(self, source: str, target: str, digest: str) -> None:
        """:raises FileNotFoundError: when the blob does not exist."""
        path = self.blob_path(target, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(self.blob_path(source, digest), path)

    # manifests and tags

    def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> str:
        """Stores a manifest under its digest, and under `reference` if that is a tag; returns the digest."""
        digest, folder, now = digest_of(data), self._folder(repository), time.time()
        if not DIGEST.fullmatch(reference) and not TAG.fullmatch(reference):
            raise ValueError(f"invalid tag or digest: {reference!r}")
        with self.locked():
            _write_json(folder / "manifests" / f"{_hex(digest)}.json", {"media_type": media_type})
            _write(folder / "manifests" / _hex(digest), data)
            if not DIGEST.fullmatch(reference):
                tag = folder / "tags" / f"{reference}.json"
                created = (_read_json(tag) or {"created": now})["created"]
                _write_json(tag, {"digest": digest, "created": created, "updated": now})
            listed = folder / "repository.json"
            _write_json(listed, {"created": (_read_json(listed) or {"created": now})["created"], "updated": now})
        return digest

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest with this tag or digest."""
        digest = reference
        if not DIGEST.fullmatch(reference):
            tag = self.tag(repository, reference)
            if tag is None:
                return None
            digest = tag.digest
        file = self._folder(repository) / "manifests" / _hex(digest)
        metadata = _read_json(file.with_suffix(".json"))
        if metadata is None or not file.is_file():
            return None
        return Manifest(file.read_bytes(), metadata["media_type"], digest)

    def manifests(self, repository: str) -> list[str]:
        """Sorted digests of all manifests, tagged or not."""
        files = (self._folder(repository) / "manifests").glob("[!.]*")
        return sorted(f"sha256:{file.name}" for file in files if not file.suffix)

    def tag(self, repository: str, name: str) -> Tag | None:
        if not TAG.fullmatch(name):
            return None
        found = _read_json(self._folder(repository) / "tags" / f"{name}.json")
        return Tag(name, found["digest"], found["created"], found["updated"]) if found else None

    def tag_list(self, repository: str) -> list[Tag]:
        """Tags, sorted by name."""
        names = sorted(
            file.name.removesuffix(".json") for file in (self._folder(repository) / "tags").glob("[!.]*.json")
        )
        return [found for name in names if (found := self.tag(repository, name))]

    def tags(self, repository: str) -> dict[str, str]:
        """Digests by tag."""
        return {tag.name: tag.digest for tag in self.tag_list(repository)}

    def delete_tag(self, repository: str, name: str) -> bool:
        """Returns whether the tag existed."""
        with self.locked():
            found = self.tag(repository, name)
            if found:
                (self._folder(repository) / "tags" / f"{name}.json").unlink(missing_ok=True)
        return found is not None

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Deletes a manifest with its tags; returns whether the manifest existed."""
        with self.locked():
            for tag in self.tag_list(repository):
                if tag.digest == digest:
                    (self._folder(repository) / "tags" / f"{tag.name}.json").unlink(missing_ok=True)
            file = self._folder(repository) / "manifests" / _hex(digest)
            found = file.is_file()
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
        return found

    # uploads

    def uploads(self) -> list[OpenUpload]:
        """Uploads that are neither complete nor discarded."""
        return self.upload_files.all()

    def finish_upload(self, upload: OpenUpload, digest: str) -> None:
        """Makes the upload the blob `digest`; the caller has verified the digest."""
        path = self.blob_path(upload.repository, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.upload_files.move(upload, path)
