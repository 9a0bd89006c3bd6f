"""Requests of the portal about endpoints, and who sends them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, SECRET_KEY
from tests.provider.harness import BROWSER, NAME, SCRIPT

EU_NL = "https://swr.eu-nl.otc.t-systems.com"
OTHER_ID = f"eu-de_team@{OTHER_ACCESS_KEY}"
CALLERS = pytest.mark.parametrize("caller", [BROWSER, SCRIPT], ids=["browser", "script"])


def created(**changes: Any) -> dict[str, Any]:
    """The body of `POST /registries`."""
    credential = {"access_key": ACCESS_ID, "access_secret": SECRET_KEY, "type": "basic"}
    document = {"credential": credential, "description": "", "insecure": False, "name": "swr", "type": NAME}
    for key in ("access_key", "access_secret"):
        if key in changes:
            credential[key] = changes.pop(key)
    return {**document, **changes}


def pinged(**changes: Any) -> dict[str, Any]:
    """The body of `POST /registries/ping`."""
    document = created(**changes)
    credential = document.pop("credential")
    return {**document, "access_key": credential["access_key"], "access_secret": credential["access_secret"]}


NEW_ENDPOINTS = pytest.mark.parametrize(("path", "form"), [("/registries", created), ("/registries/ping", pinged)])
CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PUT", "/registries/4", {}),
    ("POST", "/registries/ping", {"id": 4}),
)
"""Both requests about a stored endpoint: method, path, and the fields that the request always has."""
