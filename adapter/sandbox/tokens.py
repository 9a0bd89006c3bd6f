"""Signed values of the sandbox: registry tokens, upload states and object store URLs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Claims:
    """Claims of a token: the access key, and actions by repository."""

    access_key: str
    access: Mapping[str, frozenset[str]] = field(default_factory=dict)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Signer:
    """Signs with a key that lasts as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def _mac(self, purpose: str, data: str) -> bytes:
        return hmac.new(self._key, f"{purpose}\n{data}".encode(), hashlib.sha256).digest()

    def _verified(self, purpose: str, data: str, mac: str) -> bool:
        try:
            return hmac.compare_digest(self._mac(purpose, data), _decode(mac))
        except (binascii.Error, ValueError):
            return False

    def token(self, claims: Claims, lifetime: int) -> str:
        """A JWT with `exp` and the `access` list of Docker; `lifetime` in seconds.

        The claims of SWR are unknown (docs/facts/swr.md §5).
        """
        now = int(time.time())
        access = [{"type": "repository", "name": name, "actions": sorted(each)} for name, each in claims.access.items()]
        body = {
            "iss": "swr",
            "aud": "dockyard",
            "sub": claims.access_key,
            "iat": now,
            "exp": now + lifetime,
            "access": access,
        }
        data = f"{_encode(json.dumps({'typ': 'JWT', 'alg': 'HS256'}).encode())}.{_encode(json.dumps(body).encode())}"
        return f"{data}.{_encode(self._mac('token', data))}"

    def open_token(self, token: str) -> Claims | None:
        """The claims of a token; None if the token is invalid or has expired."""
        data, _, mac = token.rpartition(".")
        if not self._verified("token", data, mac):
            return None
        body: dict[str, Any] = json.loads(_decode(data.partition(".")[2]))
        if body["exp"] <= time.time():
            return None
        return Claims(body["sub"], {each["name"]: frozenset(each["actions"]) for each in body["access"]})

    def state(self, upload_id: str, size: int) -> str:
        """The `_state` in the Location of an upload."""
        data = _encode(json.dumps({"upload": upload_id, "size": size}).encode())
        return f"{_encode(self._mac('state', data))}.{data}"

    def open_state(self, state: str) -> tuple[str, int] | None:
        """Upload and size of a `_state`; None if it is invalid."""
        mac, _, data = state.partition(".")
        if not self._verified("state", data, mac):
            return None
        body: dict[str, Any] = json.loads(_decode(data))
        return body["upload"], body["size"]

    def _signature(self, method: str, path: str, expires: str) -> str:
        return base64.b64encode(self._mac("link", f"{method}\n\n\n{expires}\n{path}")).decode()

    def link(self, method: str, path: str, lifetime: int) -> str:
        """The path with the query of a pre-signed URL, for one method (docs/facts/swr.md §6)."""
        expires = str(int(time.time()) + lifetime)
        query = {
            "AWSAccessKeyId": "SANDBOXOBJECTS000000",
            "Expires": expires,
            "Signature": self._signature(method, path, expires),
        }
        return f"{quote(path, safe='/:')}?{urlencode(query)}"

    def open_link(self, method: str, path: str, query: Mapping[str, str]) -> str | None:
        """The error code of the object store; None for a valid URL."""
        expires, signature = query.get("Expires", ""), query.get("Signature", "")
        if not expires or not signature or not query.get("AWSAccessKeyId"):
            return "AccessDenied"
        if not hmac.compare_digest(signature.encode(), self._signature(method, path, expires).encode()):
            return "SignatureDoesNotMatch"
        return "AccessDenied" if int(expires) <= time.time() else None
