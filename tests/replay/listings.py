"""Listings for a pull rule: what Harbor needs of each response, and that all pages together match SWR.

Pure. Sources: docs/facts/harbor.md D.4, docs/facts/swr.md §4.4, §4.5.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from adapter.sandbox.replay import Result
from tests.replay.scenarios import Contents

REPOSITORIES: Final = r"/api/v2\.0/projects/(?P<project>[^/]+)/repositories"
ARTIFACTS: Final = REPOSITORIES + r"/(?P<repository>[^/]+)/artifacts"
ARTIFACT: Final = ARTIFACTS + r"/(?P<digest>sha256:[0-9a-f]{64})"
TAG: Final = ARTIFACTS + r"/[^/]+/tags/(?P<tag>[^/]+)"

REGISTERED: Final = {
    *("signature.cosign", "signature.notation", "accelerator.nydus", "subject.accessory", "sbom.harbor", "base"),
}
"""Accessory types; with any other type the call of Harbor fails."""


def repository_of(match: re.Match[str]) -> str:
    """The full repository name in a path, where Harbor escapes slashes twice."""
    return f"{match['project']}/{unquote(unquote(match['repository']))}"


def document_of(result: Result) -> Any:
    """The JSON of the response; empty for a recorded response that was too long to record."""
    return json.loads(result.body) if result.body else []


def paged(result: Result) -> Iterator[str]:
    """Harbor puts scheme and host before a Link."""
    link = result.header("Link")
    if link and not re.fullmatch(r'(</api/v2\.0/[^>]+>; rel="(prev|next)"( , )?)+', link):
        yield f"Link {link!r} is not a path of the endpoint"
    if not re.fullmatch(r"\d+", result.header("X-Total-Count") or ""):
        yield f"X-Total-Count {result.header('X-Total-Count')!r} is not a number"


def repositories(result: Result, origin: str) -> Iterator[str]:
    """Full names, `project/repository`."""
    yield from paged(result)
    match = re.fullmatch(REPOSITORIES, result.exchange.request.path)
    for each in document_of(result):
        if not match or not str(each.get("name")).startswith(f"{match['project']}/"):
            yield f"the name {each.get('name')!r} is not below the project"


def artifacts(result: Result, origin: str) -> Iterator[str]:
    """The fields that Harbor reads."""
    yield from paged(result)
    for each in document_of(result):
        yield from _artifact(each)


def artifact(result: Result, origin: str) -> Iterator[str]:
    """The requested artifact."""
    document = document_of(result)
    match = re.fullmatch(ARTIFACT, result.exchange.request.path)
    if not match or document.get("digest") != match["digest"]:
        yield f"the digest is {document.get('digest')!r}"
    yield from _artifact(document)


def _artifact(each: dict[str, Any]) -> Iterator[str]:
    digest = each.get("digest")
    if not re.fullmatch("sha256:[0-9a-f]{64}", str(digest)):
        yield f"{digest!r} is not a digest"
    if not isinstance(each.get("type"), str) or not each["type"]:
        yield f"{digest} has the type {each.get('type')!r}"
    for list_, key, form in (
        ("tags", "name", r"\w[\w.-]{0,127}"),
        ("references", "child_digest", "sha256:[0-9a-f]{64}"),
    ):
        for entry in each.get(list_) or []:
            if not re.fullmatch(form, str(entry.get(key, ""))):
                yield f"{digest} has {entry.get(key)!r} among its {list_}"
    for entry in each.get("accessories") or []:
        if entry.get("type") not in REGISTERED:
            yield f"{digest} has an accessory of the type {entry.get('type')!r}, which Harbor does not accept"
    yield from (f"{digest}: {key} is not a time" for key in ("push_time", "pull_time") if not _is_time(each.get(key)))


def _is_time(value: Any) -> bool:
    """Whether it is RFC 3339 or null: anything else fails in the parser of Go, and so in the run."""
    if value is None:
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None and "T" in value
    except (TypeError, ValueError):
        return False


def differences(held: Contents, results: Iterable[Result]) -> Iterator[str]:
    """Differences between all pages of a listing and the contents of SWR at that time."""
    pages = [each for each in results if each.status == 200 and each.exchange.request.method == "GET"]
    listed: Counter[str] = Counter()
    projects: set[str] = set()
    tagged: dict[str, Counter[tuple[str, str]]] = {}
    for result in pages:
        path = result.exchange.request.path
        if match := re.fullmatch(ARTIFACTS, path):
            found = tagged.setdefault(repository_of(match), Counter())
            document = document_of(result)
            found.update((tag["name"], each["digest"]) for each in document for tag in each.get("tags") or [])
            if len({each["digest"] for each in document}) != len(document):
                yield f"{path}: an artifact is listed twice"
        elif match := re.fullmatch(REPOSITORIES, path):
            projects.add(match["project"])
            listed.update(each["name"] for each in document_of(result))
    wanted = Counter(repository for repository in held.manifests if repository.partition("/")[0] in projects)
    if projects and listed != wanted:
        yield f"repositories {sorted(listed.elements())}, SWR has {sorted(wanted)}"
    for repository, tags in tagged.items():
        there = Counter(held.tags.get(repository, {}).items())
        if tags != there:
            yield f"{repository}: of its tags {[*(there - tags)]} are missing, {[*(tags - there)]} are extra"
