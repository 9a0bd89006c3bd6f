"""`/v2/_catalog`: SWR has none (`docs/facts/swr.md §6`), so it is made of the management API's list."""

from __future__ import annotations

from flask import Blueprint, Response, request

from adapter.contract.auth import credentials_of
from adapter.contract.cursor import begins, count_of, cut
from adapter.contract.list_cache import ListCache
from adapter.credentials import Credentials
from adapter.swr.client import SwrClient


def create_blueprint(swr: SwrClient) -> Blueprint:
    """One route: every repository that the account sees (`docs/facts/harbor.md D.5`)."""
    blueprint = Blueprint("catalog", __name__)
    seen: ListCache[str] = ListCache()

    @blueprint.route("/v2/_catalog", methods=["GET"])
    def catalog() -> Response:
        credentials, count = credentials_of(request, swr.regions), count_of(request)
        found = seen.read(credentials, "catalog", lambda: _names(swr, credentials), first=begins(request), size=count)
        return cut(request, "repositories", found)

    return blueprint


def _names(swr: SwrClient, credentials: Credentials) -> list[str]:
    return sorted({str(each.repository) for each in swr.catalog.repositories(credentials, None)})
