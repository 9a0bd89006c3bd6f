"""The TLS certificate of a listener."""

from __future__ import annotations

import contextlib
import ssl
import threading
from pathlib import Path


def load(chain: Path, key: Path) -> ssl.SSLContext:
    """The TLS context of a server. Raises `ValueError` when the two files cannot be used together."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a password OpenSSL would prompt for one on the terminal when the key is encrypted.
        context.load_cert_chain(chain, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise ValueError(
            f"expected a PEM certificate chain in {chain} and its unencrypted private key in {key}"
        ) from error
    return context


class Certificate:
    """A chain and its key. Both files are read again when they change: a renewed certificate needs no restart."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises `ValueError`."""
        self.chain = chain
        self._key = key
        self._lock = threading.Lock()
        self._files = self._current_files()
        self._context = load(chain, key)

    def context(self) -> ssl.SSLContext:
        """The context for the next connection. While only one of the two files is new, the old pair stays in use."""
        with self._lock:
            if (files := self._current_files()) != self._files:
                with contextlib.suppress(ValueError):
                    self._context, self._files = load(self.chain, self._key), files
            return self._context

    def _current_files(self) -> tuple[tuple[int, int], ...] | None:
        """Modification time and inode of both files; None while one is missing."""
        try:
            return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (self.chain.stat(), self._key.stat()))
        except OSError:
            return None
