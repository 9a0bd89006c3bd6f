"""Bad names, tags, routes and methods: a clear refusal, SWR is not asked, and the service lives on."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.http import Answer, Door, alive, digest_of, refused, silent
from tests.running import RunningSandbox

DIGEST = digest_of(b"x")


NAMES = [
    "a",
    "team",
    "Team/app",
    "team/App",
    "team/app_",
    "team/_app",
    "team/-app",
    "team/a..b",
    "team/a___b",
    "team/a.-b",
    "team//app",
    "team/app/",
    "team/./app",
    "team/../app",
    "../team/app",
    "team/..",
    "team/%2e%2e/app",
    "team/%2E%2E%2Fapp",
    "team%2F..%2Fapp",
    "team/..%2f..%2f..%2fetc%2fpasswd",
    "team%2F%2Fapp",
    "team%252Fapp",
    "team/%252e%252e/app",
    "team/app%00",
    "team/%00app",
    "team/app%0d%0aX-Injected:%201",
    "team/app%0a",
    "team%0d/app",
    "team%5Capp",
    "team/..%5capp",
    "team/a%20b",
    "team/a%09b",
    "team/a%3Fb",
    "team/a%23b",
    "team/a:b",
    "team/a@sha256:b",
    "team/a$b",
    "team/a*b",
    "team/%C3%BCmlaut",
    "team/%E4%BB%93%E5%BA%93",
    "team/%F0%9F%90%B3",
    "team/a%E2%80%8Bb",
    "team/%EF%BC%8E%EF%BC%8E/app",
    "team/%FF%FE",
    "team/%C0%AE%C0%AE/app",
    "team/%ED%A0%80",
    "team/%",
    "team/%zz",
    "team/" + "a" * 255,
    "/".join("a" * 200),
    "team/" + "a-" * 1000 + "!",
    "team/" + "a." * 3500,
]


TAGS = [
    ".",
    "..",
    ".a",
    "-a",
    "%2e%2e",
    "a%2Fb",
    "a%252Fb",
    "a%00",
    "a%0d%0ab",
    "a%5Cb",
    "a%20b",
    "a+b",
    "a%25b",
    "a%2Bb",
    "%C3%BC",
    "%F0%9F%90%B3",
    "a" * 129,
    "a" * 7000,
    "a@b",
    "sha256:abc",
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha257:" + "a" * 64,
    "sha512:" + "a" * 64,
    "md5:" + "a" * 32,
    ":",
    "a:b",
    "sha256%3A" + "a" * 63,
]


def turned_down(answer: Answer) -> None:
    """By the application in its envelope, or by the server before it for what is no HTTP or far too long."""
    if answer.status in {414, 431}:
        return
    refused(answer, {400, 404})


class TestNames:
    @pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:40])
    def test_bad_repositories(self, door: Door, swr: RunningSandbox, name: str) -> None:
        with silent(swr):
            turned_down(door.ask("GET", f"/v2/{name}/manifests/v1"))
            turned_down(door.ask("PUT", f"/v2/{name}/manifests/v1", b"{}", {"Content-Type": "a/b"}))
            turned_down(door.ask("GET", f"/v2/{name}/blobs/{DIGEST}"))
            turned_down(door.ask("POST", f"/v2/{name}/blobs/uploads/", b""))
            turned_down(door.ask("PUT", f"/v2/{name}/blobs/uploads/x?digest={DIGEST}", b"x"))
            assert door.ask("HEAD", f"/v2/{name}/manifests/v1").status in {400, 404, 414}
        alive(door)

    @pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag[:40])
    def test_bad_references(self, door: Door, swr: RunningSandbox, tag: str) -> None:
        with silent(swr):
            turned_down(door.ask("GET", f"/v2/team/app/manifests/{tag}"))
            turned_down(door.ask("PUT", f"/v2/team/app/manifests/{tag}", b"{}", {"Content-Type": "a/b"}))
            turned_down(door.ask("GET", f"/v2/team/app/blobs/{tag}"))
        alive(door)

    def test_ten_thousand_characters(self, door: Door, swr: RunningSandbox) -> None:
        with silent(swr):
            for target in (f"/v2/team/{'a' * 10_000}/manifests/v1", f"/v2/team/app/manifests/{'a' * 10_000}"):
                assert 400 <= door.ask("GET", target).status < 500
        alive(door)

    @given(
        before=st.text("abc09", min_size=1, max_size=20),
        bad=st.characters(exclude_characters="/", exclude_categories=["Cs"]).filter(
            lambda letter: not (letter.isascii() and (letter.islower() or letter.isdigit() or letter in "._-"))
        ),
        after=st.text("abc09/", max_size=20),
    )
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_name_with_a_letter_that_is_not_allowed_reaches_swr(
        self, door: Door, swr: RunningSandbox, before: str, bad: str, after: str
    ) -> None:
        with silent(swr):
            turned_down(door.ask("GET", f"/v2/team/{quote(before + bad + after, safe='/')}/manifests/v1"))

    @pytest.mark.parametrize("name", ["team/app", "team/a.b_c__d-e--f", "team/a/b/c/d", "team/0", "team/" + "a" * 120])
    def test_good_ones_are_asked_for(self, door: Door, swr: RunningSandbox, name: str) -> None:
        refused(door.ask("GET", f"/v2/{name}/manifests/v1"), 404, code="MANIFEST_UNKNOWN")
        assert any(name in entry["path"] for entry in swr.journal())

    def test_no_organization_is_told_as_that(self, door: Door) -> None:
        answer = door.ask("GET", "/v2/app/manifests/v1")
        refused(answer, 400, "no organization in repository name", "destination namespace", code="NAME_INVALID")

    def test_percent_signs_are_shown_without_being_one(self, door: Door) -> None:
        answer = door.ask("GET", "/v2/team/app/manifests/a%25sb%25d")
        refused(answer, 404, "a(percent)sb(percent)d", code="MANIFEST_UNKNOWN")


class TestRoutes:
    @pytest.mark.parametrize(
        "target",
        [
            "/",
            "/v1/_ping",
            "/v2/_catalogue",
            "/v2/team/app",
            "/v2/team/app/manifests",
            "/v2/team/app/manifests/",
            "/v2/team/app/manifests/v1/extra",
            "/v2/team/app/blobs/",
            "/v2/team/app/blobs/uploads/a/b",
            "/v2/manifests/v1",
            "/v2//manifests/v1",
            "/v2/team/app/referrers/" + DIGEST,
            "/api",
            "/api/v2.0",
            "/api/v2.0/users",
            "/api/v2.0/projects/team",
            "/api/v2.0/projects/team/members",
            "/api/v1.0/projects",
            "/probe/healthy",
            "/metrics",
            "/static/x",
            "/sandbox/reset",
            "/v2/../api/version",
            "/%76%32/../../etc/passwd",
            "/api/version%00",
            "/api/version%0d%0a",
            "/favicon.ico",
            "/swr/auth/v2/registry/auth/",
        ],
    )
    def test_unknown_ones(self, door: Door, swr: RunningSandbox, target: str) -> None:
        with silent(swr):
            answer = door.ask("GET", target)
        refused(answer, {400, 404, 405})
        assert ("detail" in answer.error) == unquote(target).startswith("/v2/")

    @pytest.mark.parametrize(
        ("method", "target", "allowed"),
        [
            ("POST", "/v2/", "GET"),
            ("DELETE", "/v2/", "GET"),
            ("POST", "/v2/team/app/manifests/v1", "PUT"),
            ("PATCH", "/v2/team/app/manifests/v1", "GET"),
            ("PUT", "/v2/team/app/blobs/" + DIGEST, "GET"),
            ("DELETE", "/v2/team/app/blobs/" + DIGEST, "HEAD"),
            ("GET", "/v2/team/app/blobs/uploads/", "POST"),
            ("PUT", "/v2/team/app/blobs/uploads/", "POST"),
            ("POST", "/v2/team/app/blobs/uploads/x", "PATCH"),
            ("POST", "/api/version", "GET"),
            ("PUT", "/api/v2.0/projects", "POST"),
            ("DELETE", "/api/v2.0/projects", "GET"),
            ("POST", "/api/v2.0/labels", "GET"),
            ("TRACE", "/v2/", "GET"),
            ("PROPFIND", "/v2/", "GET"),
            ("BREW", "/api/version", "GET"),
        ],
    )
    def test_wrong_methods(self, door: Door, swr: RunningSandbox, method: str, target: str, allowed: str) -> None:
        with silent(swr):
            answer = door.ask(method, target, b"")
        refused(answer, 405, method, code="UNSUPPORTED")
        assert allowed in answer.header("Allow").split(", ")

    def test_no_redirect_to_a_tidier_path(self, door: Door) -> None:
        for target in ("/v2", "/v2/team/app/blobs/uploads", "/api/version/", "/api/v2.0/projects/"):
            assert door.ask("POST", target, b"{}").status not in {301, 302, 307, 308}
