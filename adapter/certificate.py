"""The certificate that a door speaks TLS with."""

from __future__ import annotations

import contextlib
import ssl
import threading
from pathlib import Path


def load(chain: Path, key: Path) -> ssl.SSLContext:
    """A server's context. Raises `ValueError` when the two files cannot be used together."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without a password an encrypted key would have one asked for on the terminal.
        context.load_cert_chain(chain, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{chain} and {key} are no certificate chain with its unencrypted key, in PEM") from error
    return context


class Certificate:
    """A chain and its key. Both are read again when they change: a renewed certificate needs no restart."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises `ValueError`."""
        self.chain = chain
        self._key = key
        self._lock = threading.Lock()
        self._stamp = self._now()
        self._context = load(chain, key)

    def context(self) -> ssl.SSLContext:
        """For the next connection. While only one of the two files is new, the old pair stays."""
        with self._lock:
            if (stamp := self._now()) != self._stamp:
                with contextlib.suppress(ValueError):
                    self._context, self._stamp = load(self.chain, self._key), stamp
            return self._context

    def _now(self) -> tuple[tuple[int, int], ...] | None:
        try:
            return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (self.chain.stat(), self._key.stat()))
        except OSError:
            return None
