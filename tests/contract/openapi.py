"""Checks exchanges against `openapi/contract.yaml`: a fault is what the document does not describe. Pure.

Paths and methods are matched here, because in common matchers no parameter contains a slash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from adapter.sandbox.recording import Headers, header
from tests.openapi import Operation, Page, escaped

PAGE: Final = Page("contract.yaml")
DOCUMENT: Final = PAGE.root

LONGEST_LINE: Final = 8190

# HTTP and the server, not the contract. Framing headers count where the document describes them.
PLAIN_HEADERS: Final = {"content-type", "content-length", "transfer-encoding", "date", "server", "connection"}
# OpenAPI describes these by `content` and `security`, or they are not part of a contract.
PLAIN_REQUEST_HEADERS: Final = PLAIN_HEADERS | {
    *("accept", "accept-encoding", "authorization", "expect", "host", "user-agent"),
}


@dataclass(frozen=True)
class Exchanged:
    """A request and its response, headers as transmitted; `sent` is None if the body is unknown."""

    method: str
    target: str
    headers: Headers
    sent: bytes | None
    status: int
    answered: Headers
    body: bytes


resolved = PAGE.resolved


def operations() -> tuple[Operation, ...]:
    return PAGE.operations


@cache
def parameters(operation: Operation) -> tuple[tuple[str, Any], ...]:
    return PAGE.parameters(operation)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """A pattern for the paths of a template."""
    slashes = {
        each["name"]
        for operation in operations()
        if operation.template == template
        for _, each in parameters(operation)
        if each.get("x-slashes")
    }
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(
            re.escape(part) if at % 2 == 0 else f"(?P<{part}>{'.+' if part in slashes else '[^/]+'})"
            for at, part in enumerate(parts)
        )
    )


Match = tuple[Operation, dict[str, str]]


def _matching(path: str) -> list[Match]:
    """The operations that match a decoded path, most fixed text first, with the path parameters."""
    found = [
        (operation, match.groupdict())
        for operation in operations()
        if (match := _pattern(operation.template).fullmatch(path))
    ]
    return sorted(found, key=lambda each: -len(re.sub(r"\{\w+\}", "", each[0].template)))


def _decoded(target: str) -> str:
    return unquote(target.partition("?")[0])


def _other_slash(path: str) -> str:
    return path.removesuffix("/") if path.endswith("/") else path + "/"


def operation_of(method: str, target: str) -> Match | None:
    """The operation of a request."""
    return next((each for each in _matching(_decoded(target)) if each[0].method == method), None)


@cache
def _validator(where: str) -> OAS31Validator:
    registry: Registry[Any] = Registry().with_resource("urn:door", DRAFT202012.create_resource(DOCUMENT))
    return OAS31Validator({"$ref": f"urn:door#{where}"}, registry=registry, format_checker=oas31_format_checker)


def schema_faults(where: str, value: Any) -> Iterator[str]:
    for error in _validator(where).iter_errors(value):
        yield f"{error.json_path}: {error.message[:200]}"


def text_faults(what: str, where: str, text: str) -> Iterator[str]:
    """Checks a parameter or header, parsed as the type of its schema."""
    whole = resolved(where)[1].get("type") == "integer" and re.fullmatch(r"-?[0-9]+", text)
    yield from (f"{what} {fault}" for fault in schema_faults(where, int(text[:4000]) if whole else text))


def json_faults(where: str, data: bytes) -> Iterator[str]:
    try:
        document = json.loads(data)
    except ValueError:
        yield "the body is no JSON"
    else:
        yield from schema_faults(where, document)


# Requests


def request_faults(exchanged: Exchanged, *, ignored: bool = True) -> list[str]:
    """Why the request does not conform.

    :param ignored: whether unknown parameters and invalid values of lenient ones count too.
    """
    found = operation_of(exchanged.method, exchanged.target)
    if found is None:
        return ["no such operation"]
    return [*_parameter_faults(exchanged, *found, ignored), *_sent_faults(exchanged, found[0])]


def _parameter_faults(
    exchanged: Exchanged, operation: Operation, captured: dict[str, str], ignored: bool
) -> Iterator[str]:
    given = {
        "path": [*captured.items()],
        "query": parse_qsl(exchanged.target.partition("?")[2], keep_blank_values=True),
        "header": [(n.lower(), v) for n, v in exchanged.headers if n.lower() not in PLAIN_REQUEST_HEADERS],
    }
    for place, pairs in given.items():
        known = {
            each["name"].lower() if place == "header" else each["name"]: (where, each)
            for where, each in parameters(operation)
            if each["in"] == place
        }
        names = {name for name, _ in pairs}
        yield from (f"{place} lacks {n}" for n, (_, each) in known.items() if each.get("required") and n not in names)
        for name, value in pairs:
            if name not in known:
                if ignored:
                    yield f"{place} parameter {name} is not described"
            elif ignored or not known[name][1].get("x-lenient"):
                yield from text_faults(f"{place} {name}", f"{known[name][0]}/schema", value)


def _sent_faults(exchanged: Exchanged, operation: Operation) -> Iterator[str]:
    body = resolved(operation.where)[1].get("requestBody")
    if body is None:
        if exchanged.sent and operation.method != "POST":
            yield "a body that is not described"
        return
    if exchanged.sent is None:
        return
    if not exchanged.sent and not body["required"]:
        return
    kind = header(exchanged.headers, "Content-Type")
    media = _media(body["content"], kind or "application/octet-stream")
    if media is None:
        yield f"a body of type {kind} is not described"
    elif "schema" in body["content"][media]:
        yield from json_faults(f"{operation.where}/requestBody/content/{escaped(media)}/schema", exchanged.sent)


# Answers


def answer_faults(exchanged: Exchanged) -> list[str]:
    """Why the response does not conform."""
    where = response_of(exchanged)
    if where is None:
        return [f"status {exchanged.status} is not described"]
    return [*_open_faults(exchanged), *_header_faults(exchanged, where), *_content_faults(exchanged, where)]


def response_of(exchanged: Exchanged) -> str | None:
    """The JSON pointer of the described response, or None if it is not described."""
    path, status = _decoded(exchanged.target), str(exchanged.status)
    found = operation_of(exchanged.method, exchanged.target)
    if found is None:
        surface = "Oci" if path == "/v2" or path.startswith("/v2/") else "Harbor"
        alike = [each for each, _ in (*_matching(path), *_matching(_other_slash(path)))]
        if status == "404":
            return f"/components/responses/{surface}NoSuchPath"
        if status == "405" and alike:
            return f"/components/responses/{surface}NotAllowed"
        found = next(((each, {}) for each in alike if each.method == exchanged.method), None)
    if found is None or status not in resolved(found[0].where)[1]["responses"]:
        return None
    return resolved(f"{found[0].where}/responses/{status}")[0]


def _open_faults(exchanged: Exchanged) -> Iterator[str]:
    """A success without the credentials that the operation requires."""
    found = operation_of(exchanged.method, exchanged.target)
    needed = found is not None and resolved(found[0].where)[1].get("security", DOCUMENT["security"])
    given = (header(exchanged.headers, "Authorization") or "").lower().startswith("basic ")
    if needed and not given and exchanged.status < 400:
        yield f"status {exchanged.status} without credentials"


def _header_faults(exchanged: Exchanged, where: str) -> Iterator[str]:
    described = {
        name.lower(): (name, *resolved(f"{where}/headers/{escaped(name)}"))
        for name in resolved(where)[1].get("headers", {})
    }
    names = [name.lower() for name, _ in exchanged.answered]
    for key, (name, _, each) in described.items():
        if names.count(key) > 1:
            yield f"more than one {name}"
        if each.get("required") and key not in names:
            yield f"no {name}"
    for name, value in exchanged.answered:
        if name.lower() in described:
            yield from text_faults(name, f"{described[name.lower()][1]}/schema", value)
        elif name.lower() not in PLAIN_HEADERS:
            yield f"header {name} is not described"


def _content_faults(exchanged: Exchanged, where: str) -> Iterator[str]:
    content = resolved(where)[1].get("content")
    kind = header(exchanged.answered, "Content-Type")
    if content is None:
        if exchanged.body or kind:
            yield f"a body, or its type {kind}, where none is described"
        return
    media = _media(content, kind or "")
    if media is None:
        yield f"a body of type {kind} is not described"
    elif exchanged.method == "HEAD":
        if exchanged.body:
            yield "a body to HEAD"
    elif "schema" in content[media]:
        schema = f"{where}/content/{escaped(media)}/schema"
        if media.startswith("text/"):
            yield from text_faults("the body", schema, exchanged.body.decode())
        else:
            yield from json_faults(schema, exchanged.body)


def _media(content: dict[str, Any], kind: str) -> str | None:
    """The closest described media type or range for a Content-Type."""
    name = kind.partition(";")[0].strip().lower()
    wanted = (name, name.partition("/")[0] + "/*", "*/*") if "/" in name else ()
    return next((each for each in wanted if each in content), None)


def faults(exchanged: Exchanged) -> list[str]:
    """All faults of an exchange. A malformed request is a fault only if it was accepted. Too long
    request lines have no faults: the server responds to them itself."""
    if len(exchanged.method) + len(exchanged.target) > LONGEST_LINE - len("  HTTP/1.1"):
        return []
    taken = exchanged.status < 400 and operation_of(exchanged.method, exchanged.target)
    wrong = request_faults(exchanged, ignored=False) if taken else []
    return [f"{exchanged.method} {shown(exchanged)}: {each}" for each in [*wrong, *answer_faults(exchanged)]]


def shown(exchanged: Exchanged) -> str:
    """The path for a message, without the token."""
    path = exchanged.target.partition("?")[0]
    return re.sub(r"(/blobs/uploads/)[^/]+", r"\1…", path)[:200]
