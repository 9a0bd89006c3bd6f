"""Malformed names, tags, paths and methods are rejected before SWR is reached, and nothing else fails."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from tests.contract.http import Answer, Door, digest_of, refused, silent
from tests.running import RunningSandbox

DIGEST = digest_of(b"x")

# `tests/test_references.py` has the rules of names. These are about what HTTP and proxies make of them.
NAMES = [
    "a",
    "Team/app",
    "team//app",
    "team/../app",
    "team/%2e%2e/app",
    "team%2F..%2Fapp",
    "team%252Fapp",
    "team/app%00",
    "team/app%0d%0aX-Injected:%201",
    "team%5Capp",
    "team/a%20b",
    "team/a%3Fb",
    "team/%F0%9F%90%B3",
    "team/%FF%FE",
    "team/%zz",
    "team/" + "a" * 255,
    "team/" + "a." * 3500,
]
REFERENCES = [
    "..",
    "a%2Fb",
    "a%252Fb",
    "a%00",
    "a%0d%0ab",
    "a+b",
    "%F0%9F%90%B3",
    "a:b",
    "a" * 129,
    "a" * 7000,
    "sha256:" + "A" * 64,
    "sha257:" + "a" * 64,
    "sha256%3A" + "a" * 63,
]


def rejected(answer: Answer) -> None:
    """By the application in its envelope, or by the server before it if the request line is too long."""
    if answer.status not in {414, 431}:
        refused(answer, {400, 404})


class TestNames:
    @pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:40])
    def test_invalid_repositories(self, door: Door, swr: RunningSandbox, name: str) -> None:
        with silent(swr):
            rejected(door.ask("GET", f"/v2/{name}/manifests/v1"))
            rejected(door.ask("PUT", f"/v2/{name}/manifests/v1", b"{}", {"Content-Type": "a/b"}))
            rejected(door.ask("GET", f"/v2/{name}/blobs/{DIGEST}"))
            rejected(door.ask("POST", f"/v2/{name}/blobs/uploads/", b""))
            rejected(door.ask("PUT", f"/v2/{name}/blobs/uploads/x?digest={DIGEST}", b"x"))
            assert door.ask("HEAD", f"/v2/{name}/manifests/v1").status in {400, 404, 414}

    @pytest.mark.parametrize("reference", REFERENCES, ids=lambda tag: tag[:40])
    def test_invalid_references(self, door: Door, swr: RunningSandbox, reference: str) -> None:
        with silent(swr):
            rejected(door.ask("GET", f"/v2/team/app/manifests/{reference}"))
            rejected(door.ask("PUT", f"/v2/team/app/manifests/{reference}", b"{}", {"Content-Type": "a/b"}))
            rejected(door.ask("GET", f"/v2/team/app/blobs/{reference}"))

    def test_missing_organization_in_a_name(self, door: Door) -> None:
        answer = door.ask("GET", "/v2/app/manifests/v1")
        refused(answer, 400, "no organization in repository name", "destination namespace", code="NAME_INVALID")

    def test_percent_signs_are_spelled_out(self, door: Door) -> None:
        answer = door.ask("GET", "/v2/team/app/manifests/a%25sb%25d")
        refused(answer, 404, "a(percent)sb(percent)d", code="MANIFEST_UNKNOWN")


PATHS = [
    "/",
    "/v1/_ping",
    "/v2/_catalogue",
    "/v2/team/app/manifests/",
    "/v2/team/app/manifests/v1/extra",
    "/v2/team/app/blobs/uploads/a/b",
    "/v2//manifests/v1",
    "/v2/team/app/referrers/" + DIGEST,
    "/api/v2.0/users",
    "/api/v2.0/projects/team",
    "/probe/healthy",
    "/metrics",
    "/static/x",
    "/sandbox/reset",
    "/v2/../api/version",
    "/%76%32/../../etc/passwd",
    "/api/version%0d%0a",
]


class TestRoutes:
    @pytest.mark.parametrize("target", PATHS)
    def test_unknown_paths(self, door: Door, swr: RunningSandbox, target: str) -> None:
        with silent(swr):
            answer = door.ask("GET", target)
        refused(answer, {400, 404, 405})
        assert ("detail" in answer.error) == unquote(target).startswith("/v2/")

    @pytest.mark.parametrize(
        ("method", "target", "allowed"),
        [
            ("POST", "/v2/", "GET"),
            ("PATCH", "/v2/team/app/manifests/v1", "PUT"),
            ("PUT", "/v2/team/app/blobs/" + DIGEST, "HEAD"),
            ("GET", "/v2/team/app/blobs/uploads/", "POST"),
            ("POST", "/v2/team/app/blobs/uploads/x", "PATCH"),
            ("PUT", "/api/v2.0/projects", "POST"),
            ("TRACE", "/v2/", "GET"),
            ("BREW", "/api/version", "GET"),
        ],
    )
    def test_wrong_methods(self, door: Door, swr: RunningSandbox, method: str, target: str, allowed: str) -> None:
        with silent(swr):
            answer = door.ask(method, target, b"")
        refused(answer, 405, method, f"use {answer.header('Allow')}", code="UNSUPPORTED")
        assert allowed in answer.header("Allow").split(", ")

    def test_no_redirect_to_a_normalized_path(self, door: Door) -> None:
        for target in ("/v2", "/v2/team/app/blobs/uploads", "/api/version/", "/api/v2.0/projects/"):
            assert door.ask("POST", target, b"{}").status not in {301, 302, 307, 308}
