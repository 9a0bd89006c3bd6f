"""Who calls: the credentials that Harbor sends with each request as HTTP Basic."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from flask import Request

from adapter.credentials import FORM, Credentials, parse_credentials
from adapter.errors import AccessIdMalformed, NothingEntered
from adapter.http import request_context
from adapter.references import parse_repository
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository

CHALLENGE: Final = 'Basic realm="harbor-swr-adapter"'
"""Basic, because Harbor then sends one request less each time than with Bearer (`docs/facts/harbor.md D.1`)."""


def credentials_of(request: Request, regions: Collection[str]) -> Credentials:
    """Raises `NothingEntered`, `AccessIdMalformed` or `RegionUnknown`. SWR is not asked."""
    if "Authorization" not in request.headers:
        raise NothingEntered(f"no credentials: {FORM}")
    authorization = request.authorization
    if authorization is None or authorization.type != "basic" or authorization.username is None:
        raise AccessIdMalformed(f"the credentials are not HTTP Basic: {FORM}")
    credentials = parse_credentials(authorization.username, authorization.password or "", regions)
    if (current := request_context.current_request.get()) is not None:
        current.account = credentials.shown
    return credentials


def repository_of(request: Request, swr: SwrClient, name: str) -> Repository:
    """The repository of a decoded path, with the credentials of the request. Raises `NameInvalid`, or as
    `credentials_of` does."""
    return swr.repository(credentials_of(request, swr.regions), parse_repository(name))
