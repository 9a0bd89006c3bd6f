"""Upload locations that carry their own state, sealed: any replica can go on, and a restart loses nothing.

The seal is a signature whose key comes from the caller's login key, so there is no secret to share or configure, and
to another account a location is worthless. It is signed, not hidden: logs leave it out. Pure.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, field, replace
from typing import Final

from itsdangerous import BadData, URLSafeSerializer

from adapter.errors import UploadUnknown
from adapter.identity import Identity
from adapter.names import Repository

# A caller has the key and could seal anything: what is no path must not become another host's address.
_LOCATION: Final = re.compile(r"/[!-~]*", re.ASCII)
_LARGEST_OFFSET: Final = 1 << 62
_LONGEST_LOCATION: Final = 8192
_ID: Final = re.compile(r"[0-9a-f-]{1,36}", re.ASCII)

_SALT: Final = "harbor-swr-adapter upload location 1"


@dataclass(frozen=True)
class Session:
    """An upload: SWR's own location (path and query), and how many bytes SWR has accepted.

    `doubtful`: somebody asked for its status, so the last chunk may have failed after SWR took bytes of it.
    """

    repository: Repository
    location: str = field(repr=False)
    offset: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    doubtful: bool = False

    def advanced(self, location: str, count: int) -> Session:
        """The session after a chunk of `count` bytes."""
        return replace(self, location=location, offset=self.offset + count, doubtful=False)

    @property
    def range(self) -> str:
        """The `Range` header: no `bytes=`, which Harbor cannot read (`docs/facts/harbor.md D.2`)."""
        return f"0-{max(self.offset - 1, 0)}"


def _serializer(identity: Identity) -> URLSafeSerializer:
    return URLSafeSerializer(
        identity.login_key, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    )


def seal(session: Session, identity: Identity) -> str:
    """A path segment: URL-safe letters, digits, `-`, `_` and `.`."""
    document = {
        "r": str(session.repository),
        "l": session.location,
        "o": session.offset,
        "i": session.id,
        "d": session.doubtful,
    }
    return _serializer(identity).dumps(document)


def unseal(sealed: str, repository: Repository, identity: Identity) -> Session:
    """Raises `UploadUnknown` for what was altered, is another account's, or belongs to another repository."""
    try:
        document = _serializer(identity).loads(sealed)
    except (BadData, RecursionError):
        document = None
    match document:
        case {"r": name, "l": str(location), "o": int(offset), "i": str(number), "d": bool(doubtful)} if (
            name == str(repository)
            and len(location) <= _LONGEST_LOCATION
            and _LOCATION.fullmatch(location)
            and 0 <= offset < _LARGEST_OFFSET
            and _ID.fullmatch(number)
        ):
            return Session(repository, location, offset, number, doubtful)
    raise UploadUnknown("this upload is not known: start it again")
