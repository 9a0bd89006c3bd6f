"""A response of the token endpoint: the token, and how long it may be used (`docs/facts/swr.md §5`). Pure."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from adapter.documents import parse_json
from adapter.errors import Unexpected
from adapter.numerals import finite_number

DEFAULT_LIFETIME_SECONDS: Final = 600.0
"""Lifetime of a token that does not state one."""
MARGIN_SECONDS: Final = 30.0
"""A token is not used in its last seconds."""
_MAX_LIFETIME_SECONDS: Final = 86_400.0
"""Limit for the lifetime that a token states."""


@dataclass(frozen=True)
class Token:
    """A bearer token; `expires` is on the monotonic clock."""

    value: str = field(repr=False)
    expires: float


def parse_token(document: bytes, origin: str) -> Token:
    """The token in a response body. Raises `Unexpected`; `origin` is the registry's `https://host`, for the message."""
    try:
        answer = parse_json(document)
        value = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        value = None
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise Unexpected(
            f"the token endpoint of {origin} returned no token: check the `registry` of the region in "
            "SWR_ADAPTER_REGIONS, and any proxy between the adapter and SWR"
        )
    return Token(value, time.monotonic() + lifetime_of(value, answer.get("expires_in"), time.time()))


def lifetime_of(token: str, expires_in: object, now: float) -> float:
    """Seconds that a token may be used: from the JWT's own times, else from `expires_in`, 10 minutes at most.

    `now` is in seconds since the epoch and matters only to a JWT without `iat`: the difference of its two own times
    is right however wrong this machine's clock is.
    """
    claims = _claims(token)
    issued, expires = finite_number(claims.get("iat", claims.get("nbf", now))), finite_number(claims.get("exp"))
    if expires is not None and issued is not None:
        return max(0.0, min(expires - issued, _MAX_LIFETIME_SECONDS) - MARGIN_SECONDS)
    seconds = finite_number(expires_in)
    if seconds is not None and seconds > 0:
        return max(0.0, min(seconds, DEFAULT_LIFETIME_SECONDS) - MARGIN_SECONDS)
    return DEFAULT_LIFETIME_SECONDS - MARGIN_SECONDS


def _claims(token: str) -> Mapping[str, object]:
    """The payload of a JWT; empty for any other token. Only SWR verifies the signature."""
    try:
        payload = token.split(".")[1]
        claims = parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
