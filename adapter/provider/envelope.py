"""Bodies of the door's own errors, as Harbor writes them (`docs/facts/harbor.md A.5`). Pure."""

from __future__ import annotations

import json


def harbor_body(code: str, sentence: str) -> bytes:
    """`{"errors":[{"code","message"}]}`; the portal shows the message when an endpoint is saved."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in sentence).split())
    document = {"errors": [{"code": code, "message": line}]}
    return json.dumps(document, separators=(",", ":")).encode()
