"""AK/SK signatures of the management API: SDK-HMAC-SHA256, scheme A of `docs/facts/swr.md §3.2`. Pure.

The secret key signs directly: unlike AWS Signature Version 4, the scheme has no credential scope and no key derivation
(`docs/facts/swr.md §3.4`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

ALGORITHM: Final = "SDK-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


def timestamp(now: datetime) -> str:
    """The form of `X-Sdk-Date`: UTC, `20200608T023900Z`."""
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def encode_query(parameters: Iterable[tuple[str, str]]) -> str:
    """A query string as it must be signed and sent: percent-encoded, sorted by key and value, `k=` if empty."""
    return "&".join(
        f"{quote(key, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for key, value in sorted(parameters)
    )


def canonical_path(path: str) -> str:
    """Each segment percent-encoded once, with a final slash that is signed but not sent."""
    encoded = "/".join(quote(segment, safe=_UNRESERVED) for segment in unquote(path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _signed_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Lowercase names in order, without names that have an underscore, because gateways drop those."""
    return sorted((name.lower(), value.strip()) for name, value in headers.items() if "_" not in name)


def canonical_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """The six parts that are hashed; `headers` are those to sign, including Host and X-Sdk-Date."""
    parts = urlsplit(url)
    signed = _signed_headers(headers)
    return "\n".join(
        (
            method.upper(),
            canonical_path(parts.path),
            encode_query(parse_qsl(parts.query, keep_blank_values=True)),
            "".join(f"{name}:{value}\n" for name, value in signed),
            ";".join(name for name, _ in signed),
            hashlib.sha256(body).hexdigest(),
        )
    )


def signature(secret_key: str, date: str, request: str) -> str:
    """Hex HMAC of the string to sign: algorithm, date, hash of the canonical request."""
    to_sign = "\n".join((ALGORITHM, date, hashlib.sha256(request.encode()).hexdigest()))
    return hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    access_key: str,
    secret_key: str,
    now: datetime,
) -> dict[str, str]:
    """The headers to send: `headers`, all of which are signed, plus Host, X-Sdk-Date and Authorization."""
    complete = {**headers, "Host": urlsplit(url).netloc, "X-Sdk-Date": timestamp(now)}
    request = canonical_request(method, url, complete, body)
    names = ";".join(name for name, _ in _signed_headers(complete))
    signed = signature(secret_key, complete["X-Sdk-Date"], request)
    complete["Authorization"] = f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signed}"
    return complete
