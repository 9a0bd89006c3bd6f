"""Upload sessions as signed tokens in the upload's location: any replica can continue, and a restart loses nothing.

The key of the signature comes from the caller's login key, so there is no secret to share or configure, and to another
account a location is worthless. The token is signed, not encrypted: logs leave it out.

Whoever has a secret, right or wrong, can sign. So a token is never decompressed, its length is checked before its
signature, and its signature before anything is decoded. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field, replace
from typing import Final

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from adapter.credentials import Credentials
from adapter.errors import RangeInvalid, SizeInvalid, Unexpected, UploadUnknown
from adapter.swr.repository import Repository

# A caller has the key and could seal anything: what is no path must not become another host's address.
_LOCATION: Final = re.compile(r"/[!-~]*", re.ASCII)
_LARGEST_OFFSET: Final = 1 << 62
MAX_LOCATION_BYTES: Final = 4096
"""Of SWR's location. With a repository name of 255 bytes the request line of the token stays below 8190 bytes."""
MAX_TOKEN_BYTES: Final = 7168
_ID: Final = re.compile(r"[0-9a-f-]{1,36}", re.ASCII)

_SALT: Final = "harbor-swr-adapter upload location 2"


@dataclass(frozen=True)
class UploadSession:
    """An upload: SWR's own location (path and query), and how many bytes SWR has accepted.

    `doubtful`: somebody asked for its status, so the last chunk may have failed after SWR took bytes of it.
    """

    repository: Repository
    location: str = field(repr=False)
    offset: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    doubtful: bool = False

    def advanced(self, location: str, count: int) -> UploadSession:
        """The session after a chunk of `count` bytes."""
        return replace(self, location=location, offset=self.offset + count, doubtful=False)

    @property
    def range(self) -> str:
        """The `Range` header: no `bytes=`, which Harbor cannot read (`docs/facts/harbor.md D.2`)."""
        return f"0-{max(self.offset - 1, 0)}"


def _signer(credentials: Credentials) -> Signer:
    return Signer(credentials.login_key, salt=_SALT, digest_method=hashlib.sha256, key_derivation="hmac")


def seal(session: UploadSession) -> str:
    """The token: a path segment of URL-safe letters, digits, `-`, `_` and `.`; `MAX_TOKEN_BYTES` at most.

    Raises `Unexpected` for a location of SWR that is too long.
    """
    # No object: it would begin as a JWT does, and be taken for one where logs are masked.
    document = [str(session.repository), session.location, session.offset, session.id, session.doubtful]
    token = signed(json.dumps(document, separators=(",", ":")).encode(), session.repository.credentials)
    if len(session.location) > MAX_LOCATION_BYTES or len(token) > MAX_TOKEN_BYTES:
        raise Unexpected(
            f"SWR returned an upload location of {len(session.location)} bytes (limit {MAX_LOCATION_BYTES}): report "
            "this with the request ID"
        )
    return token


def signed(payload: bytes, credentials: Credentials) -> str:
    """`base64url(payload).base64url(HMAC-SHA256)`."""
    return _signer(credentials).sign(base64_encode(payload)).decode()


def unseal(sealed: str, repository: Repository) -> UploadSession:
    """Raises `UploadUnknown` for what was altered, is another account's, or belongs to another repository."""
    match _document(sealed, repository.credentials):
        case [name, str(location), int(offset), str(number), bool(doubtful)] if (
            name == str(repository)
            and len(location) <= MAX_LOCATION_BYTES
            and _LOCATION.fullmatch(location)
            and 0 <= offset < _LARGEST_OFFSET
            and _ID.fullmatch(number)
        ):
            return UploadSession(repository, location, offset, number, doubtful)
    raise UploadUnknown("upload not found: start the upload again")


def _document(sealed: str, credentials: Credentials) -> object:
    """What is signed in a token, None where nothing is."""
    if len(sealed) > MAX_TOKEN_BYTES:
        return None
    try:
        return json.loads(base64_decode(_signer(credentials).unsign(sealed)))
    except (BadData, ValueError, RecursionError):
        return None


# Eighteen digits are more than any layer, and less than what makes int() slow.
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?")

Span = tuple[int, int]
"""First and last byte."""


def parse_content_range(value: str | None) -> Span | None:
    """`first-last` as the OCI distribution spec has it, or HTTP's `bytes first-last/total`. Raises `RangeInvalid`."""
    if value is None:
        return None
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None:
        raise RangeInvalid("the Content-Range cannot be read: <first byte>-<last byte> is wanted")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise RangeInvalid("the Content-Range ends before it starts")
    return first, last


def size_of(span: Span | None, length: int | None) -> int | None:
    """Bytes that must come, by Content-Range and Content-Length (None: not sent); None when nothing says.

    Raises `SizeInvalid` when the two contradict each other.
    """
    if span is None:
        return length
    size = span[1] - span[0] + 1
    if length is not None and length != size:
        raise SizeInvalid(f"Content-Length says {length} bytes, Content-Range {size}")
    return size


def content_range(span: Span | None, begin: int) -> str | None:
    """The Content-Range for SWR, from byte `begin` on.

    Passed on only where the client itself sent one: what SWR makes of it is not documented.
    """
    return None if span is None else f"{begin}-{span[1]}"
