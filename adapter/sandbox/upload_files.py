"""Open uploads on disk: one folder each, with the bytes received so far and the repository."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash
    from io import BufferedWriter

BLOCK = 1 << 20


class UploadBusyError(Exception):
    """Another request writes to the upload."""


class UploadGoneError(Exception):
    """The upload was discarded while a request wrote to it."""


@dataclass(frozen=True)
class OpenUpload:
    """`size`: bytes received so far."""

    id: str
    repository: str
    size: int


class UploadFiles:
    """Writes bytes to disk as they arrive and hashes them; only the running hashes are in memory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._hashes: dict[str, tuple[int, _Hash]] = {}

    def _folder(self, upload_id: str) -> Path:
        return self._directory / str(uuid.UUID(upload_id))

    def start(self, repository: str) -> OpenUpload:
        upload = OpenUpload(str(uuid.uuid4()), repository, 0)
        folder = self._folder(upload.id)
        folder.mkdir(parents=True)
        (folder / "data").touch()
        (folder / "about.json").write_text(json.dumps({"repository": repository}))
        return upload

    def get(self, upload_id: str) -> OpenUpload | None:
        try:
            folder = self._folder(upload_id)
            metadata = json.loads((folder / "about.json").read_bytes())
            return OpenUpload(folder.name, metadata["repository"], (folder / "data").stat().st_size)
        except (ValueError, FileNotFoundError):
            return None

    def all(self) -> list[OpenUpload]:
        names = sorted(folder.name for folder in self._directory.glob("*"))
        return [found for name in names if (found := self.get(name))]

    def append(
        self, upload: OpenUpload, blocks: Iterable[bytes], then: Callable[[OpenUpload], None] | None = None
    ) -> OpenUpload:
        """Appends the blocks, calls `then` with the upload, and returns the upload.

        The upload is locked until the end of `then`, so that what `then` verified is what is stored. Exceptions of
        `blocks` pass through; the blocks before them are kept.

        :raises UploadBusyError: when another request writes to the upload, or has since `get`.
        :raises UploadGoneError: when the upload was discarded.
        """
        data = self._folder(upload.id) / "data"
        try:
            file = data.open("ab")
        except FileNotFoundError:
            raise UploadGoneError from None
        with file:
            self._lock_file(file, data)
            running = self._running(upload.id, data)
            size = data.stat().st_size
            if size != upload.size:
                raise UploadBusyError
            try:
                for block in blocks:
                    file.write(block)
                    running.update(block)
                    size += len(block)
            finally:
                file.flush()
                with self._lock:
                    self._hashes[upload.id] = (size, running)
            found = self.get(upload.id)
            if found is None:
                raise UploadGoneError
            if then is not None:
                then(found)
        return found

    @staticmethod
    def _lock_file(file: BufferedWriter, data: Path) -> None:
        """Locks the file until it is closed. The file may have become a blob since it was opened."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(file.fileno()).st_ino == data.stat().st_ino
        except BlockingIOError:
            raise UploadBusyError from None
        except FileNotFoundError:
            same = False
        if not same:
            raise UploadGoneError

    def _running(self, upload_id: str, data: Path) -> _Hash:
        with self._lock:
            size, running = self._hashes.get(upload_id, (0, hashlib.sha256()))
        if size == data.stat().st_size:
            return running
        with data.open("rb") as file:
            return hashlib.file_digest(file, "sha256")

    def digest(self, upload: OpenUpload) -> str:
        """The digest of the bytes received so far."""
        return f"sha256:{self._running(upload.id, self._folder(upload.id) / 'data').hexdigest()}"

    def move(self, upload: OpenUpload, target: Path) -> None:
        """Moves the bytes to `target` and ends the upload."""
        (self._folder(upload.id) / "data").replace(target)
        self.discard(upload.id)

    def discard(self, upload_id: str) -> None:
        """Discards the upload, if it exists."""
        shutil.rmtree(self._folder(upload_id), ignore_errors=True)
        with self._lock:
            self._hashes.pop(upload_id, None)

    def clear_hashes(self) -> None:
        """Discards the running hashes, after the directory was cleared."""
        with self._lock:
            self._hashes.clear()
