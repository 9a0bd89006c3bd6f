"""Verifies AK/SK signatures of a request as it was received.

SDK-HMAC-SHA256 is "scheme A" of docs/facts/swr.md §3.2; §3.4 compares AWS v4 with it.
Written from the fact sheet, deliberately without the signing code of the adapter.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

SDK = "SDK-HMAC-SHA256"
AWS = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Signed:
    """A request as received: target still encoded, header names in lowercase."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Credential:
    """The parts of an Authorization header; `scope` is empty for scheme A."""

    algorithm: str
    access_key: str
    scope: tuple[str, ...]
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(header: str) -> Credential | None:
    """The parts of the header; None for any other scheme."""
    algorithm, _, rest = header.partition(" ")
    parts = dict(re.findall(r"(\w+)=([^,\s]+)", rest))
    names = tuple(parts.get("SignedHeaders", "").split(";"))
    signature = parts.get("Signature", "")
    if algorithm == SDK and "Access" in parts:
        return Credential(algorithm, parts["Access"], (), names, signature)
    if algorithm == AWS and parts.get("Credential", "").count("/") == 4:
        access_key, *scope = parts["Credential"].split("/")
        return Credential(algorithm, access_key, tuple(scope), names, signature)
    return None


def signed_at(request: Signed, credential: Credential) -> datetime | None:
    """The time of the signature; None if it is invalid."""
    value = request.headers.get("x-sdk-date" if credential.algorithm == SDK else "x-amz-date", "")
    try:
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _encode(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")


def _query(raw: str, *, recode: bool) -> str:
    pairs = [tuple(pair.partition("=")[::2]) for pair in raw.split("&") if pair]
    if recode:
        pairs = [(_encode(name), _encode(value)) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_request(request: Signed, credential: Credential) -> str | None:
    """The canonical request; None when a signed header is missing."""
    sdk = credential.algorithm == SDK
    path, _, query = request.target.partition("?")
    if sdk:
        path = "/".join(_encode(segment) for segment in path.split("/"))
        path = path if path.endswith("/") else f"{path}/"
    names = credential.signed_headers
    if any(name not in request.headers for name in names) or list(names) != sorted(names):
        return None
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    announced = request.headers.get("x-sdk-content-sha256") if sdk else None
    body_hash = announced or hashlib.sha256(request.body).hexdigest()
    return "\n".join([request.method, path, _query(query, recode=sdk), headers, ";".join(names), body_hash])


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("latin-1"), hashlib.sha256).digest()


def _expected(request: Signed, credential: Credential, secret_key: str) -> str | None:
    canonical = canonical_request(request, credential)
    if canonical is None:
        return None
    canonical_hash = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    if credential.algorithm == SDK:
        to_sign = f"{SDK}\n{request.headers.get('x-sdk-date', '')}\n{canonical_hash}"
        return _hmac(secret_key.encode(), to_sign).hex()
    key = f"AWS4{secret_key}".encode()
    for part in credential.scope:
        key = _hmac(key, part)
    to_sign = "\n".join([AWS, request.headers.get("x-amz-date", ""), "/".join(credential.scope), canonical_hash])
    return _hmac(key, to_sign).hex()


def valid(request: Signed, credential: Credential, secret_key: str) -> bool:
    """Whether the signature matches the request and the secret key; ignores its age."""
    date = "x-sdk-date" if credential.algorithm == SDK else "x-amz-date"
    if not {"host", date} <= set(credential.signed_headers):
        return False
    if credential.algorithm == AWS:
        day, _, _, terminator = credential.scope
        if terminator != "aws4_request" or day != request.headers.get(date, "")[:8]:
            return False
    expected = _expected(request, credential, secret_key)
    return expected is not None and hmac.compare_digest(
        expected.encode(), credential.signature.encode("latin-1", "replace")
    )


def from_environ(environ: Mapping[str, object], body: bytes) -> Signed:
    """From the WSGI environment of gunicorn: RAW_URI is the unchanged target of the request line."""
    headers = {
        key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = str(environ[key])
    target = re.sub(r"^https?://[^/?]*", "", str(environ["RAW_URI"])) or "/"
    return Signed(str(environ["REQUEST_METHOD"]), target, headers, body)
