"""The caller: the credentials that Harbor sends with each request as HTTP Basic, and the repository they are for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

from flask import Request

from adapter.credentials import FORM, Credentials, parse_credentials
from adapter.errors import AccessIdMalformed, NothingEntered
from adapter.http import request_context
from adapter.references import RepositoryName, parse_repository
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository

CHALLENGE: Final = 'Basic realm="harbor-swr-adapter"'
"""Basic, because Harbor then sends one request less each time than with Bearer (`docs/facts/harbor.md D.1`)."""


def credentials_of(request: Request, regions: Collection[str]) -> Credentials:
    """The credentials of a request; sends nothing to SWR.

    Raises `NothingEntered`, `AccessIdMalformed` or `RegionUnknown`.
    """
    if "Authorization" not in request.headers:
        raise NothingEntered(f"no credentials: {FORM}")
    authorization = request.authorization
    if authorization is None or authorization.type != "basic" or authorization.username is None:
        raise AccessIdMalformed(f"unsupported authentication scheme, use HTTP Basic: {FORM}")
    credentials = parse_credentials(authorization.username, authorization.password or "", regions)
    if (current := request_context.current_request.get()) is not None:
        current.account = credentials.shown
    return credentials


def repository_of(request: Request, swr: SwrClient, name: str) -> Repository:
    """The repository of a path on `/v2`. Raises `NameInvalid`, or as `credentials_of` does."""
    return swr.repository(credentials_of(request, swr.regions), parse_repository(name))


def project_repository_of(request: Request, swr: SwrClient, project: str, name: str) -> Repository:
    """The repository of a path on `/api`. Raises `NameInvalid`, or as `credentials_of` does."""
    return swr.repository(credentials_of(request, swr.regions), decode_repository(project, name))


def decode_repository(project: str, name: str) -> RepositoryName:
    """The repository name of a path on `/api`. Raises `NameInvalid`.

    Harbor escapes the slashes of the name twice, and the server undoes one escape (`docs/facts/harbor.md D.4`). A proxy
    before the adapter may have undone the other one.
    """
    return parse_repository(f"{project}/{unquote(name)}")
