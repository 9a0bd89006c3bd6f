"""A small state machine that answers requests by script, after the idea of regclient's reqresp.

Entries are tried in order. One matches by method, path, query, headers and the script's state; it may serve once only,
move the script to another state, or cut the connection instead of answering. It knows nothing of SWR.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Respond = Callable[[Request, re.Match[str]], Response]


class LowerCase(Response):
    """Names of headers are lower-case on the wire; werkzeug would write some of them its own way."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        return Headers([(name.lower(), value) for name, value in super().get_wsgi_headers(environ)])


def reply(status: int, body: bytes | str = b"", **headers: str) -> Response:
    """An answer whose header names are lower-case on the wire; `_` in a keyword stands for `-`."""
    data = body.encode() if isinstance(body, str) else body
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    names.setdefault("content-type", "application/json")
    names.setdefault("content-length", str(len(data)))
    return LowerCase(data, status, headers=names)


@dataclass
class Entry:
    """One line of the script.

    :param path: matched against the whole path.
    :param query: parameters that must be there with that value; None: must be absent.
    :param headers: headers that must match that pattern from their beginning; None: must be absent.
    :param once: serves one request only.
    :param if_state: serves in these states only; empty: in each.
    :param set_state: the state that the script is in afterwards.
    :param abort: cuts the connection, after the head of the request, instead of answering.
    """

    method: str
    path: str
    respond: Respond | None = None
    query: Mapping[str, str | None] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    once: bool = False
    if_state: frozenset[str] = frozenset()
    set_state: str | None = None
    abort: bool = False

    def matches(self, request: Request, state: str) -> re.Match[str] | None:
        if self.if_state and state not in self.if_state:
            return None
        if request.method != self.method:
            return None
        if any(request.args.get(name) != value for name, value in self.query.items()):
            return None
        for name, pattern in self.headers.items():
            value = request.headers.get(name)
            if (value is None) != (pattern is None) or (value and pattern and not re.match(pattern, value)):
                return None
        return re.fullmatch(self.path, request.path)


class Script:
    """Entries, the state, and what was asked for: `(method, path, status)`, 0 for a cut connection."""

    def __init__(self, entries: list[Entry]) -> None:
        self._first: list[Entry] = []
        self._entries = entries
        self._lock = threading.Lock()
        self.state = ""
        self.asked: list[tuple[str, str, int]] = []
        self.unexpected: list[tuple[str, str]] = []

    def before(self, *entries: Entry) -> None:
        """Entries that are tried before all others, until the next reset."""
        with self._lock:
            self._first.extend(entries)

    def reset(self) -> None:
        with self._lock:
            self._first, self.state, self.asked, self.unexpected = [], "", [], []

    def __call__(self, request: Request) -> Response:
        entry, match = self._choose(request)
        if entry is None or match is None:
            with self._lock:
                self.unexpected.append((request.method, request.path))
            response = reply(404)
        elif entry.abort or entry.respond is None:
            cut(request)
            response = reply(500)  # nobody hears it
        else:
            response = entry.respond(request, match)
        with self._lock:
            status = 0 if entry is not None and entry.abort else response.status_code
            self.asked.append((request.method, request.path, status))
        return response

    def _choose(self, request: Request) -> tuple[Entry | None, re.Match[str] | None]:
        with self._lock:
            for entries in (self._first, self._entries):
                for entry in entries:
                    if match := entry.matches(request, self.state):
                        if entry.once:
                            entries.remove(entry)
                        if entry.set_state is not None:
                            self.state = entry.set_state
                        return entry, match
        return None, None


def cut(request: Request) -> None:
    """Resets the connection of a request that werkzeug's own server took."""
    request.environ["replay.cut"] = True
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)


def was_cut(request: Request) -> bool:
    return "replay.cut" in request.environ
