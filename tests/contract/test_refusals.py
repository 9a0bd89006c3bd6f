"""Organizations that cannot be had: one sentence each that says what to do, and nothing is made on the way."""

from __future__ import annotations

import pytest

from tests.contract.http import Door, asked, bad_signatures, digest_of, refused, silent
from tests.contract.organizations import create, listed, names_in
from tests.credentials import ACCESS_KEY, LOGIN_KEY, SECRET_KEY, WRONG_SECRET, basic
from tests.running import OTHER_TENANT, TENANT, RunningSandbox

SECRETS = [pytest.param(SECRET_KEY, id="SK"), pytest.param(LOGIN_KEY, id="login key")]


MISSING_MOODS = [
    pytest.param({"deny_missing_organization": True}, id="the token is refused"),
    pytest.param({"deny_missing_organization": False}, id="the request is refused"),
]


@pytest.fixture
def name(number: int) -> str:
    """An organization that no other test has asked for."""
    return f"new{number}"


class TestRefusals:
    def test_quota(self, door: Door, swr: RunningSandbox, name: str) -> None:
        for count in range(4):
            swr.store.create_organization(f"mine{count}", TENANT)
        answer = refused(create(door, name), 403, "quota", "5 by default", "use one that exists", code="DENIED")
        assert "SVCSTG.SWR.4000097" in answer.message
        assert swr.store.organization(name) is None

    @pytest.mark.parametrize("secret", SECRETS)
    def test_taken_by_another_account(self, door: Door, swr: RunningSandbox, name: str, secret: str) -> None:
        swr.store.create_organization(name, OTHER_TENANT)
        answer = create(door, name, authorization=basic(secret=secret))
        refused(answer, 403, name, "another account", "choose another destination namespace", code="DENIED")

    @pytest.mark.parametrize("shape", ["array", "object"])
    def test_both_shapes_of_errors_are_understood(self, door: Door, swr: RunningSandbox, name: str, shape: str) -> None:
        swr.reset(error_shape=shape)
        swr.store.create_organization(name, OTHER_TENANT)
        refused(create(door, name), 403, "another account")

    def test_reserved(self, door: Door, swr: RunningSandbox) -> None:
        with silent(swr):
            answer = create(door, "library")
        refused(answer, 403, "library", "reserves", "choose another destination namespace")

    def test_reserved_by_swr_alone(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.reset(reserved=f"library,{name}")
        refused(create(door, name), 403, name, "choose another destination namespace")

    def test_not_allowed_to_create(self, door: Door, swr: RunningSandbox, name: str) -> None:
        body = [{"errorCode": "SVCSTG.SWR.4039002", "errorMessage": "no permission", "detail": ""}]
        swr.faults({"origin": "api", "method": "POST", "status": 403, "body": body})
        refused(create(door, name), 403, "permission", "administrator")

    def test_there_but_only_to_be_read(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.store.create_organization(name, OTHER_TENANT, auth={ACCESS_KEY: 1})
        refused(create(door, name), 403, name, "read-only access", "permission")

    def test_creation_switched_off(self, strict_door: Door, swr: RunningSandbox, name: str) -> None:
        answer = create(strict_door, name)
        refused(answer, 403, name, "SWR_ADAPTER_CREATE_NAMESPACES=false", "create it in the SWR console")
        assert asked(swr, "POST") == []

    def test_creation_switched_off_but_it_is_there(self, strict_door: Door, swr: RunningSandbox, name: str) -> None:
        swr.store.create_organization(name, TENANT)
        refused(create(strict_door, name), 409, name, "exists")

    def test_wrong_secret_for_one_that_was_just_made(
        self, door: Door, swr: RunningSandbox, name: str, number: int
    ) -> None:
        assert create(door, name).status == 201
        answer = create(door, name, authorization=basic(secret=f"{WRONG_SECRET}{number}"))
        refused(answer, 401, "rejected the credentials")
        assert bad_signatures(swr) == {"count": 0, "locked": []}

    @pytest.mark.parametrize(
        "bad",
        ["", " ", "UPPER", "-a", "a-", "a..b", "a/b", "a b", "..", "1abc", "ümlaut", "a\nb", "a\x00b", "%2e", "a" * 65],
    )
    def test_bad_names(self, door: Door, swr: RunningSandbox, bad: str) -> None:
        with silent(swr):
            answer = create(door, bad)
        refused(answer, 400, "invalid SWR organization name", "lowercase", code="NAME_INVALID")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"text"',
            b"17",
            b"{}",
            b"\xff\xfe",
            b"[" * 60_000,
            b'{"project_name": null}',
            b'{"project_name": ["a"]}',
            b'{"project_name": {"a": 1}}',
            b'{"project_name": 1}',
            b'{"project_name": "\\ud800"}',
        ],
    )
    def test_bad_bodies(self, door: Door, swr: RunningSandbox, body: bytes) -> None:
        with silent(swr):
            answer = door.ask("POST", "/api/v2.0/projects", body)
        refused(answer, 400)
        assert set(answer.error) == {"code", "message"}

    @pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
    def test_a_body_that_breaks_off(self, door: Door, swr: RunningSandbox, head: str) -> None:
        body = b'{"project_name": "half"' if "Length" in head else b'17\r\n{"project_name": "half"\r\n'
        with silent(swr):
            answer = door.raw(door.head("POST", "/api/v2.0/projects", head) + body, half_close=True)
        refused(answer, 400)


class TestNothingIsMadeOnTheWay:
    @pytest.mark.parametrize("profile", MISSING_MOODS)
    @pytest.mark.parametrize("secret", SECRETS)
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("HEAD", "manifests/v1"),
            ("GET", "manifests/v1"),
            ("PUT", "manifests/v1"),
            ("PUT", "manifests/{digest}"),
            ("HEAD", "blobs/{digest}"),
            ("GET", "blobs/{digest}"),
        ],
    )
    def test_a_missing_organization_is_404(
        self,
        door: Door,
        swr: RunningSandbox,
        name: str,
        method: str,
        path: str,
        secret: str,
        profile: dict[str, bool],
    ) -> None:
        swr.reset(**profile)
        body = b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}'
        target = f"/v2/{name}/app/{path.format(digest=digest_of(body))}"
        sent = body if method == "PUT" else None
        answer = door.ask(method, target, sent, authorization=basic(secret=secret))
        assert answer.status == 404, answer.body
        if method != "HEAD":
            refused(answer, 404, "organization", "does not exist", code="NAME_UNKNOWN")
        assert swr.store.organization(name) is None
        assert [entry for entry in asked(swr, "POST") if "namespaces" in entry["path"]] == []

    @pytest.mark.parametrize("profile", MISSING_MOODS)
    def test_the_missing_organization_is_named(
        self, door: Door, swr: RunningSandbox, name: str, profile: dict[str, bool]
    ) -> None:
        swr.reset(**profile)
        refused(door.ask("GET", f"/v2/{name}/app/manifests/v1"), 404, f"'{name}'", "does not exist")

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_another_accounts_organization_is_403(
        self, door: Door, swr: RunningSandbox, name: str, method: str
    ) -> None:
        """It may be one that the account has lost its permission for, and a 404 would be taken for a deletion."""
        swr.store.create_organization(name, OTHER_TENANT)
        assert door.ask(method, f"/v2/{name}/app/manifests/v1").status == 403

    def test_one_that_may_only_be_read_is_403_on_a_push(self, door: Door, swr: RunningSandbox, name: str) -> None:
        swr.store.create_organization(name, OTHER_TENANT, auth={ACCESS_KEY: 1})
        answer = door.ask("POST", f"/v2/{name}/app/blobs/uploads/", b"")
        refused(answer, 403, f"{name}/app", "permission", code="DENIED")
        assert door.ask("HEAD", f"/v2/{name}/app/manifests/v1").status == 404

    @pytest.mark.parametrize("query", ["q=name%3D%7B%27{name}%27%7D", "q=name%3D{name}"])
    def test_a_listing_makes_nothing(self, door: Door, swr: RunningSandbox, name: str, query: str) -> None:
        assert names_in(listed(door, query.format(name=name))) == []
        assert swr.store.organization(name) is None
