"""Headers of responses on `/v2`, and responses without a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response

API_VERSION: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}
"""Sent with every response on `/v2`, as Docker's registry does."""


def empty_response(status: int, headers: Mapping[str, str], *, on_v2: bool = True) -> Response:
    """A response without a body, and so without a content type: Flask would send `text/html`."""
    response = Response(status=status, headers=dict(headers))
    response.headers.pop("Content-Type", None)
    if on_v2:
        response.headers.update(API_VERSION)
    return response
