"""What the portal sends for an endpoint, and who sends it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.credentials import ACCESS_ID, OTHER_ACCESS_KEY, SECRET_KEY
from tests.provider.harness import BROWSER, NAME, SCRIPT

EU_NL = "https://swr.eu-nl.otc.t-systems.com"
OTHER_ID = f"eu-de_team@{OTHER_ACCESS_KEY}"
CALLERS = pytest.mark.parametrize("caller", [BROWSER, SCRIPT], ids=["browser", "script"])


def created(**changes: Any) -> dict[str, Any]:
    """What the portal posts to `/registries`."""
    credential = {"access_key": ACCESS_ID, "access_secret": SECRET_KEY, "type": "basic"}
    document = {"credential": credential, "description": "", "insecure": False, "name": "swr", "type": NAME}
    for key in ("access_key", "access_secret"):
        if key in changes:
            credential[key] = changes.pop(key)
    return {**document, **changes}


def pinged(**changes: Any) -> dict[str, Any]:
    """The same as the portal posts it to `/registries/ping`."""
    document = created(**changes)
    credential = document.pop("credential")
    return {**document, "access_key": credential["access_key"], "access_secret": credential["access_secret"]}


WHOLE = pytest.mark.parametrize(("path", "form"), [("/registries", created), ("/registries/ping", pinged)])
