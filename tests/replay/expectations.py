"""What Harbor needs of a response, derived from the recorded one; other differences are allowed.

Pure: recorded exchange and replayed result in, complaints out. Sources: docs/facts/harbor.md D.1-D.5, D.8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from adapter.sandbox.recordings.images import digest
from adapter.sandbox.replay import Result
from adapter.sandbox.replay_targets import mounted_digest
from tests.replay import listings
from tests.replay.scenarios import Difference

Complaints = Iterator[str]
Expectation = Callable[[Result, str], Complaints]


def complaints(result: Result, origin: str, difference: Difference | None = None) -> list[str]:
    """Everything that Harbor could not work with, one sentence each.

    :param origin: URL of the endpoint, which upload locations must point to.
    :param difference: how the response must differ from the recorded one.
    """
    return [f"{result.exchange}: {complaint}" for complaint in _complaints(result, origin, difference)]


def _complaints(result: Result, origin: str, difference: Difference | None) -> Complaints:
    if result.status is None:
        yield f"skipped: {result.skipped}" if result.skipped else f"no response: {result.error}"
        return
    recorded = result.exchange.response.status
    if difference:
        if not difference.allows(result.status):
            yield f"status {result.status}, wanted {difference.status}"
        yield from (f"the response does not contain {word!r}" for word in difference.says if word not in _text(result))
    elif result.status != recorded:
        yield f"status {result.status}, recorded {recorded}"
        return
    if result.status >= 400:
        yield from _error_body(result)
    elif not difference:
        for expectation in _for(result):
            yield from expectation(result, origin)
    if result.exchange.request.path == "/v2/" and result.status == 401:
        yield from _challenge(result)


def _text(result: Result) -> str:
    return result.body.decode("utf-8", "replace")


def _for(result: Result) -> Iterator[Expectation]:
    """The expectations of a route whose recorded response was a success."""
    method, path = result.exchange.request.method, result.exchange.request.path
    for wanted, pattern, expectation in ROUTES:
        if method == wanted and re.fullmatch(pattern, path):
            yield expectation


def _same(result: Result, *names: str) -> Complaints:
    for name in names:
        got, wanted = result.header(name), result.exchange.response.header(name)
        if got != wanted:
            yield f"{name} {got!r}, recorded {wanted!r}"


def manifest_head(result: Result, origin: str) -> Complaints:
    """Harbor compares the digest and uses type and size."""
    yield from _same(result, "Docker-Content-Digest", "Content-Type", "Content-Length")


def manifest(result: Result, origin: str) -> Complaints:
    """The recorded document, byte for byte; Harbor parses it by its type."""
    yield from _same(result, "Docker-Content-Digest", "Content-Type", "Content-Length")
    if digest(result.body) != result.exchange.response.header("Docker-Content-Digest"):
        yield f"the manifest has the digest {digest(result.body)}"


def blob_head(result: Result, origin: str) -> Complaints:
    yield from _same(result, "Content-Length")


def blob(result: Result, origin: str) -> Complaints:
    """A proxy cache copies Content-Length bytes, and nothing without it (D.8)."""
    yield from _same(result, "Content-Length")
    if result.body and digest(result.body) != result.exchange.request.path.rpartition("/")[2]:
        yield f"the blob has the digest {digest(result.body)}"


def tag_list(result: Result, origin: str) -> Complaints:
    yield from _same_json(result, lambda document: (document["name"], sorted(document["tags"])))


def mounted(result: Result, origin: str) -> Complaints:
    """Harbor reads only the status. That the blob exists is checked in SWR."""
    yield from _same(result, "Docker-Content-Digest")


def deleted(result: Result, origin: str) -> Complaints:
    """Harbor reads only the status."""
    if result.body:
        yield "a deletion returned a body"


def location(result: Result, origin: str) -> Complaints:
    """On the endpoint, absolute or relative, and below the repository's uploads."""
    if mounted_digest(result.exchange.request):
        yield from mounted(result, origin)
        return
    given = result.header("Location")
    if not given:
        yield "no Location"
        return
    parts = urlsplit(given)
    if parts.scheme and f"{parts.scheme}://{parts.netloc}" != origin:
        yield f"Location leads to {parts.scheme}://{parts.netloc}, outside {origin}"
    name = re.fullmatch("/v2/(.+)/blobs/uploads/.*", result.exchange.request.path)
    if not name or not re.fullmatch(f"/v2/{re.escape(name[1])}/blobs/uploads/[^/].*", parts.path):
        yield f"Location {parts.path[:60]!r} is not an upload of the repository"


def chunk(result: Result, origin: str) -> Complaints:
    """Harbor parses two integers from Range, and fails at `bytes=`."""
    yield from location(result, origin)
    yield from _same(result, "Range")


def stored(result: Result, origin: str) -> Complaints:
    yield from _same(result, "Docker-Content-Digest")


def version(result: Result, origin: str) -> Complaints:
    yield from _same_json(result, lambda document: document)


def labels(result: Result, origin: str) -> Complaints:
    yield from _same_json(result, lambda document: document)


def mount_source(result: Result, origin: str) -> Complaints:
    """A repository if one was recorded; the peer decides which one."""
    yield from _same_json(result, lambda document: ["/" in each["name"] for each in document])


def organizations(result: Result, origin: str) -> Complaints:
    """The requested names. Harbor would skip a project with a `registry_id`, a proxy cache."""
    yield from _same_json(
        result, lambda document: sorted((each["name"], each.get("registry_id", 0)) for each in document)
    )


def created(result: Result, origin: str) -> Complaints:
    if not (result.header("Location") or "").startswith("/"):
        yield f"Location {result.header('Location')!r} is not a path"


def authenticated(result: Result, origin: str) -> Complaints:
    yield from _same_json(result, lambda document: document)


def _same_json(result: Result, view: Callable[[Any], Any]) -> Complaints:
    recorded = result.exchange.response.body
    if recorded is None or recorded.data is None:
        yield "the recording has no body to compare with"
        return
    wanted = view(json.loads(recorded.data))
    try:
        got = view(json.loads(result.body))
    except (ValueError, KeyError, TypeError, AttributeError):
        yield f"body {result.body[:60]!r} does not have the form of {wanted!r}"
        return
    if got != wanted:
        yield f"body {got!r}, recorded {wanted!r}"


def _challenge(result: Result) -> Complaints:
    """Only Basic: one request less than with Bearer."""
    challenges = [value for name, value in result.headers if name.lower() == "www-authenticate"]
    authorized = result.exchange.request.header("Authorization")
    if not authorized and (len(challenges) != 1 or not re.fullmatch('Basic realm="[^"]+"', challenges[0])):
        yield f"WWW-Authenticate {challenges!r} is not Basic with a realm"


def _error_body(result: Result) -> Complaints:
    """`errors[]` in JSON, on one line, without `%`: Harbor uses the text as a format string."""
    if result.exchange.request.method == "HEAD":
        return
    text = _text(result)
    if "%" in text:
        yield "the error contains a %"
    if "\n" in text.strip():
        yield "the error has more than one line"
    try:
        errors = json.loads(text)["errors"]
        messages = [error["message"] for error in errors]
    except (ValueError, KeyError, TypeError):
        yield f"the error {text[:60]!r} is not JSON with errors[].message"
        return
    if not messages or not all(isinstance(each, str) and each.strip() and "\n" not in each for each in messages):
        yield "an error without a message of one line"


ROUTES: tuple[tuple[str, str, Expectation], ...] = (
    ("GET", "/api/version", version),
    ("GET", "/api/v2.0/labels", labels),
    ("GET", "/api/v2.0/projects", organizations),
    ("POST", "/api/v2.0/projects", created),
    ("GET", "/api/v2.0/repositories", mount_source),
    ("GET", listings.REPOSITORIES, listings.repositories),
    ("GET", listings.ARTIFACTS, listings.artifacts),
    ("GET", listings.ARTIFACT, listings.artifact),
    ("DELETE", listings.TAG, deleted),
    ("GET", "/v2/", authenticated),
    ("GET", "/v2/.+/tags/list", tag_list),
    ("HEAD", "/v2/.+/manifests/[^/]+", manifest_head),
    ("GET", "/v2/.+/manifests/[^/]+", manifest),
    ("DELETE", "/v2/.+/manifests/[^/]+", deleted),
    ("GET", "/v2/.+/blobs/[^/]+", blob),
    ("PUT", "/v2/.+/manifests/[^/]+", stored),
    ("HEAD", "/v2/.+/blobs/[^/]+", blob_head),
    ("POST", "/v2/.+/blobs/uploads/", location),
    ("GET", "/v2/.+/blobs/uploads/[^/]+", chunk),
    ("PATCH", "/v2/.+/blobs/uploads/[^/]+", chunk),
    ("PUT", "/v2/.+/blobs/uploads/[^/]+", stored),
)


def has_expectation(result: Result) -> bool:
    """Whether an expectation checks more than the status of the response."""
    return result.exchange.response.status >= 400 or any(_for(result))
