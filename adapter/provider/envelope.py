"""Bodies of errors as Harbor writes them (`docs/facts/harbor.md A.5`): the door's, and core's with a reason. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from adapter.provider.json_edit import changed
from adapter.text import plain

UNHEALTHY: Final = "the registry is unhealthy"
"""What core says of an endpoint whose check failed, for whatever reason (`docs/facts/harbor.md A.5`)."""


def harbor_body(code: str, sentence: str) -> bytes:
    """`{"errors":[{"code","message"}]}` in ASCII; the portal shows the message when an endpoint is saved."""
    document = {"errors": [{"code": code, "message": plain(sentence)}]}
    return json.dumps(document, separators=(",", ":")).encode()


def explained(body: bytes, reason: str) -> bytes:
    """Core's error with the reason behind its message, if that is `UNHEALTHY` and nothing else; or the very bytes."""

    def change(document: Any) -> Any:
        errors = document.get("errors") if isinstance(document, dict) else None
        if not isinstance(errors, list) or len(errors) != 1 or not isinstance(errors[0], dict):
            return document
        if errors[0].get("message") != UNHEALTHY:
            return document
        return {**document, "errors": [{**errors[0], "message": f"{UNHEALTHY}: {plain(reason)}"}]}

    return changed(body, change)
