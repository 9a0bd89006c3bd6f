"""The requests that the sandbox received, for tests to read. Secrets are left out."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl

RECORDED_HEADERS = (
    "Accept",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Range",
    "Transfer-Encoding",
    "User-Agent",
)
SECRET_PARAMETERS = frozenset({"_state", "Signature", "AWSAccessKeyId", "x-amz-security-token"})
MAX_ENTRIES = 20_000


@dataclass
class Exchange:
    """One request. `status` is null until the response; `received` is the number of body bytes read so far."""

    n: int
    origin: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    authorization: str | None
    account: str | None = None
    status: int | None = None
    received: int = 0
    fault: bool = field(default=False)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name in RECORDED_HEADERS:
        key = name.upper().replace("-", "_")
        value = environ.get(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}")
        if value:
            found[name.lower()] = value
    return found


class Journal:
    """The last 20,000 requests since the last reset, in order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._n = 0

    def begin(self, origin: str, environ: dict[str, Any]) -> Exchange:
        query = [
            (name, "…" if name in SECRET_PARAMETERS else value)
            for name, value in parse_qsl(environ["QUERY_STRING"], True)
        ]
        scheme = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[0] or None
        with self._lock:
            self._n += 1
            path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
            exchange = Exchange(self._n, origin, environ["REQUEST_METHOD"], path, query, _headers(environ), scheme)
            self._exchanges.append(exchange)
            del self._exchanges[:-MAX_ENTRIES]
        return exchange

    def all(self) -> list[dict[str, object]]:
        with self._lock:
            return [asdict(exchange) for exchange in self._exchanges]

    def clear(self) -> None:
        with self._lock:
            self._exchanges.clear()
            self._n = 0
