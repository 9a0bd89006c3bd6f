"""A recording: requests of a stock Harbor to a remote registry with the responses, one exchange per line.

JSON Lines; `tests/recordings/README.md` describes the format. Only `load` does I/O.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, cast

Headers = tuple[tuple[str, str], ...]
Framing = Literal["content-length", "chunked"]


class RecordingError(ValueError):
    """A line is not a valid exchange; the message contains the line number."""


@dataclass(frozen=True)
class Body:
    """A recorded body: length, hex of its SHA-256, and `data` unless the body was too long to record."""

    length: int
    sha256: str
    data: bytes | None = field(default=None, repr=False)
    masked: bool = False

    @property
    def digest(self) -> str:
        return "sha256:" + self.sha256


@dataclass(frozen=True)
class Request:
    """A request of Harbor. Headers have their original order, repetition and case; placeholders are not filled in.

    `follows` is the number of the exchange whose Location is the target of this request.
    """

    method: str
    target: str = field(repr=False)
    headers: Headers = field(repr=False)
    framing: Framing | None
    body: Body | None
    follows: int | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


@dataclass(frozen=True)
class RecordedResponse:
    """The response that Harbor received."""

    status: int
    headers: Headers = field(repr=False)
    body: Body | None

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


@dataclass(frozen=True)
class Exchange:
    """One request and its response. `connection` is the number of the TCP connection; times are in milliseconds."""

    number: int
    connection: int
    at_ms: int
    took_ms: int
    request: Request
    response: RecordedResponse

    def __str__(self) -> str:
        return f"#{self.number} {self.request.method} {self.request.path}"


def header(headers: Headers, name: str) -> str | None:
    """The first header of that name, whatever its case."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def load(file: Path | Traversable) -> tuple[Exchange, ...]:
    """Reads the exchanges of a file.

    :raises RecordingError: when the file is not a valid recording.
    """
    return parse(file.read_text("utf-8").splitlines())


def parse(lines: Iterable[str]) -> tuple[Exchange, ...]:
    """Parses the exchanges, one line each.

    :raises RecordingError: when a line is invalid, or follows an exchange that is not before it.
    """
    exchanges: list[Exchange] = []
    for at, line in enumerate(lines, start=1):
        try:
            exchange = _exchange(json.loads(line))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordingError(f"line {at}: {type(error).__name__}: {error}") from error
        if exchanges and exchange.number <= exchanges[-1].number:
            raise RecordingError(f"line {at}: number {exchange.number} is not greater than the one before")
        follows = exchange.request.follows
        if follows is not None and follows not in {other.number for other in exchanges}:
            raise RecordingError(f"line {at}: follows {follows}, which is not before it")
        exchanges.append(exchange)
    return tuple(exchanges)


def _exchange(document: Mapping[str, Any]) -> Exchange:
    request, response = document["request"], document["response"]
    return Exchange(
        number=int(document["n"]),
        connection=int(document["connection"]),
        at_ms=int(document["at_ms"]),
        took_ms=int(document["took_ms"]),
        request=_request(request),
        response=RecordedResponse(int(response["status"]), _headers(response["headers"]), _body(response["body"])),
    )


def _request(document: Mapping[str, Any]) -> Request:
    framing = document["framing"]
    if framing not in (None, "content-length", "chunked"):
        raise ValueError(f"unknown framing {framing!r}")
    body = _body(document["body"])
    if framing is None and body is not None:
        raise ValueError("body without framing")
    request = Request(
        method=str(document["method"]),
        target=str(document["target"]),
        headers=_headers(document["headers"]),
        framing=cast("Framing | None", framing),
        body=body,
        follows=document.get("follows"),
    )
    announced = request.header("Content-Length")
    masked = body is not None and body.masked
    if framing == "content-length" and not masked and announced != str(body.length if body else 0):
        raise ValueError(f"Content-Length {announced} differs from the length of the body")
    return request


def _headers(document: Iterable[Iterable[str]]) -> Headers:
    return tuple((str(name), str(value)) for name, value in document)


def _body(document: Mapping[str, Any] | None) -> Body | None:
    if document is None:
        return None
    masked = bool(document.get("masked"))
    if "text" in document:
        data: bytes | None = str(document["text"]).encode()
    elif "base64" in document:
        try:
            data = base64.b64decode(document["base64"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"base64: {error}") from error
    else:
        data = None
    if data is None:
        return Body(int(document["length"]), str(document["sha256"]), None, masked)
    body = Body(len(data), hashlib.sha256(data).hexdigest(), data, masked)
    recorded = (document.get("length", body.length), document.get("sha256", body.sha256))
    if recorded != (body.length, body.sha256) and not masked:
        raise ValueError("length or sha256 differ from those of the body")
    return body
