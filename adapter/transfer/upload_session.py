"""Upload sessions as signed tokens in the location of an upload: any replica can continue one, also after a restart.

The key of the signature is derived from the caller's login key, so there is no secret to share or configure, and a
location is worthless to a caller with another key. The token is signed, not encrypted: logs omit it.

Whoever has a secret, valid or not, can sign. So a token is never decompressed, its length is checked before its
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

# A caller has the key and could sign anything. What is not a path must not become the address of another host.
_LOCATION: Final = re.compile(r"/[!-~]*", re.ASCII)
_OFFSET_LIMIT: Final = 1 << 62
MAX_LOCATION_BYTES: Final = 4096
"""Of SWR's location. With a repository name of 255 bytes the request line of the token stays below 8190 bytes."""
MAX_TOKEN_BYTES: Final = 7168
_ID: Final = re.compile(r"[0-9a-f-]{1,36}", re.ASCII)

_SALT: Final = "harbor-swr-adapter upload location 2"


@dataclass(frozen=True)
class UploadSession:
    """An upload: SWR's own location (path and query), and how many bytes SWR has accepted.

    `doubtful`: a client requested the status, so the last chunk may have failed after SWR had received bytes of it.
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
        """The `Range` header, without `bytes=`, which Harbor cannot read (`docs/facts/harbor.md D.2`)."""
        return f"0-{max(self.offset - 1, 0)}"


def _signer(credentials: Credentials) -> Signer:
    return Signer(credentials.login_key, salt=_SALT, digest_method=hashlib.sha256, key_derivation="hmac")


def sign_session(session: UploadSession) -> str:
    """The token: a path segment of URL-safe letters, digits, `-`, `_` and `.`, at most `MAX_TOKEN_BYTES` long.

    Raises `Unexpected` if SWR's location is too long.
    """
    # An array, because an object would start as a JWT does, and logs mask what looks like a JWT.
    document = [str(session.repository), session.location, session.offset, session.id, session.doubtful]
    token = sign(json.dumps(document, separators=(",", ":")).encode(), session.repository.credentials)
    if len(session.location) > MAX_LOCATION_BYTES or len(token) > MAX_TOKEN_BYTES:
        raise Unexpected(
            f"SWR returned an upload location of {len(session.location)} bytes (limit {MAX_LOCATION_BYTES}): report "
            "this with the request ID"
        )
    return token


def sign(payload: bytes, credentials: Credentials) -> str:
    """`base64url(payload).base64url(HMAC-SHA256)`."""
    return _signer(credentials).sign(base64_encode(payload)).decode()


def verify_session(token: str, repository: Repository) -> UploadSession:
    """The session that a token stands for.

    Raises `UploadUnknown` for a token that was altered, or signed with another key or for another repository.
    """
    match _verified_document(token, repository.credentials):
        case [name, str(location), int(offset), str(number), bool(doubtful)] if (
            name == str(repository)
            and len(location) <= MAX_LOCATION_BYTES
            and _LOCATION.fullmatch(location)
            and 0 <= offset < _OFFSET_LIMIT
            and _ID.fullmatch(number)
        ):
            return UploadSession(repository, location, offset, number, doubtful)
    raise UploadUnknown("upload not found: start the upload again")


def _verified_document(token: str, credentials: Credentials) -> object:
    """What a token signs; None if the signature or the JSON is invalid."""
    if len(token) > MAX_TOKEN_BYTES:
        return None
    try:
        return json.loads(base64_decode(_signer(credentials).unsign(token)))
    except (BadData, ValueError, RecursionError):
        return None


# Eighteen digits suffice for any layer, and are few enough for int() to be fast.
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?")

Span = tuple[int, int]
"""First and last byte."""


def parse_content_range(value: str | None) -> Span | None:
    """`first-last` as in the OCI distribution spec, or HTTP's `bytes first-last/total`. Raises `RangeInvalid`."""
    if value is None:
        return None
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None:
        raise RangeInvalid("invalid Content-Range: send <first byte>-<last byte>")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise RangeInvalid("invalid Content-Range (it ends before it starts): send <first byte>-<last byte>")
    return first, last


def size_of(span: Span | None, length: int | None) -> int | None:
    """Bytes that must come, according to Content-Range and Content-Length (None: not sent); None if both are None.

    Raises `SizeInvalid` if they differ.
    """
    if span is None:
        return length
    size = span[1] - span[0] + 1
    if length is not None and length != size:
        raise SizeInvalid(f"Content-Length ({length} bytes) and Content-Range ({size} bytes) differ: send equal sizes")
    return size


def content_range(span: Span | None, begin: int) -> str | None:
    """The Content-Range for SWR, from byte `begin` on.

    None unless the client sent one, because it is not documented how SWR treats it.
    """
    return None if span is None else f"{begin}-{span[1]}"
