"""The signed token in the location of an upload: any replica can continue one, also after a restart.

The key of the signature is derived from the caller's login key, so there is no secret to share or configure, and a
location is worthless to a caller with another key. The token is signed, not encrypted: logs omit it.

Any caller can sign, even with an invented secret. So a token is never decompressed, its length is checked before its
signature, and its signature before anything is decoded. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from adapter.credentials import Credentials
from adapter.errors import Unexpected, UploadUnknown
from adapter.swr.repository import Repository
from adapter.transfer.upload_session import UploadSession

# A caller has the key and could sign anything. What is not a path must not become the address of another host.
_LOCATION: Final = re.compile(r"/[!-~]*", re.ASCII)
_OFFSET_LIMIT: Final = 1 << 62
MAX_LOCATION_BYTES: Final = 4096
"""Of SWR's location. With a repository name of 255 bytes the request line of the token stays below 8190 bytes."""
MAX_TOKEN_BYTES: Final = 7168
_ID: Final = re.compile(r"[0-9a-f-]{1,36}", re.ASCII)

_SALT: Final = "harbor-swr-adapter upload location 2"


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
