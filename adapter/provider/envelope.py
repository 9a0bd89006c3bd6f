"""Error bodies in Harbor's format (`docs/facts/harbor.md A.5`): of the adapter, and of core with a reason. Pure."""

from __future__ import annotations

from typing import Any, Final

from adapter.provider.json_edit import dump, edit
from adapter.text import plain

UNHEALTHY: Final = "the registry is unhealthy"
"""The message of core if its check of an endpoint fails for any reason (`docs/facts/harbor.md A.5`)."""


def error_body(code: str, message: str) -> bytes:
    """`{"errors":[{"code","message"}]}` in ASCII. The portal shows the message when an endpoint is saved."""
    return dump({"errors": [{"code": code, "message": plain(message)}]})


def add_reason(body: bytes, reason: str) -> bytes:
    """Core's error body with `: <reason>` after `UNHEALTHY`. Returns `body` itself if it has another message."""

    def change(document: Any) -> Any:
        errors = document.get("errors") if isinstance(document, dict) else None
        if not isinstance(errors, list) or len(errors) != 1 or not isinstance(errors[0], dict):
            return document
        if errors[0].get("message") != UNHEALTHY:
            return document
        return {**document, "errors": [{**errors[0], "message": f"{UNHEALTHY}: {plain(reason)}"}]}

    return edit(body, change)
