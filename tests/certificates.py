"""A certificate for the addresses of this machine, in files."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Certificate:
    """PEM files: an `authority`, and a `chain` with its `key`; `context` is for clients that trust the authority."""

    def __init__(self, folder: Path, hosts: tuple[str, ...] = ("localhost", "127.0.0.1")) -> None:
        self._hosts = hosts
        self.authority, self.chain, self.key = (folder / name for name in ("ca.crt", "tls.crt", "tls.key"))
        self.context = self.renew()

    def renew(self) -> ssl.SSLContext:
        """Writes a certificate of another authority to the same files. Returns a context that trusts it."""
        authority = trustme.CA()
        made = authority.issue_cert(*self._hosts)
        for file, data in (
            (self.key, made.private_key_pem.bytes()),
            (self.chain, b"".join(part.bytes() for part in made.cert_chain_pems)),
            (self.authority, authority.cert_pem.bytes()),
        ):
            new = file.with_suffix(".new")
            new.write_bytes(data)
            new.replace(file)
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        return self.context
