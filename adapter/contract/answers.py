"""Answers that several routes give."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response


def bodiless(status: int, headers: Mapping[str, str], *, on_v2: bool = True) -> Response:
    """An answer without content, and so without a content type: Flask would claim HTML."""
    response = Response(status=status, headers=dict(headers))
    response.headers.pop("Content-Type", None)
    if on_v2:
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    return response
