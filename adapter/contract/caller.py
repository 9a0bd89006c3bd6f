"""Who calls: the credentials that Harbor sends with each request as HTTP Basic."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from flask import Request

from adapter.errors import AccessIdMalformed, NothingEntered
from adapter.identity import FORM, Identity, parse_identity
from adapter.swr import trace

CHALLENGE: Final = 'Basic realm="harbor-swr-adapter"'
"""Basic, because Harbor then sends one request less each time than with Bearer (`docs/facts/harbor.md D.1`)."""


def identity_of(request: Request, regions: Collection[str]) -> Identity:
    """Raises `NothingEntered`, `AccessIdMalformed` or `RegionUnknown`. SWR is not asked."""
    if "Authorization" not in request.headers:
        raise NothingEntered(f"no credentials: {FORM}")
    authorization = request.authorization
    if authorization is None or authorization.type != "basic" or authorization.username is None:
        raise AccessIdMalformed(f"the credentials are not HTTP Basic: {FORM}")
    identity = parse_identity(authorization.username, authorization.password or "", regions)
    if (current := trace.current.get()) is not None:
        current.account = identity.shown
    return identity
