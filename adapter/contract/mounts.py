"""`/api/v2.0/repositories`: Harbor asks where a blob is before it uploads it (`docs/facts/harbor.md D.4`, mount)."""

from __future__ import annotations

import re
from typing import Final

from flask import Blueprint, Response, request

from adapter.contract.auth import credentials_of
from adapter.contract.pagination import paged
from adapter.references import check_digest
from adapter.swr.client import SwrClient
from adapter.transfer.mount import Mounts

_BLOB: Final = re.compile(r"(?:^|,)\s*blob_digest=([^,]*)")


def create_blueprint(swr: SwrClient, mounts: Mounts) -> Blueprint:
    """One route: the repository that a mount may name, or none."""
    blueprint = Blueprint("mounts", __name__)

    @blueprint.route("/api/v2.0/repositories", methods=["GET"])
    def repositories() -> Response:
        credentials = credentials_of(request, swr.regions)
        asked = _BLOB.search(request.args.get("q", ""))
        found = None if asked is None else mounts.offer(credentials, check_digest(asked[1].strip()))
        names = [] if found is None else [str(found)]
        return paged(request, names, key=str, show=lambda name: {"name": name})

    return blueprint
