"""/v2 without blobs and manifests, and the token endpoint."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.credentials import (
    ACCESS_KEY,
    LOGIN_KEY,
    OTHER_ACCESS_KEY,
    PROJECT,
    SECRET_KEY,
    WRONG_SECRET,
    basic,
)
from tests.sandbox.client import Answer, Sandbox, call, jwt_claims, seed

AUTH = "/swr/auth/v2/registry/auth"


def test_request_without_credentials_gets_a_challenge(sandbox: Sandbox) -> None:
    answer = sandbox.v2("GET", "/v2/")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    realm = f"http://127.0.0.1:{sandbox.registry}{AUTH}"
    assert answer.header("WWW-Authenticate") == f'Bearer realm="{realm}/",service="dockyard"'
    sandbox.set(realm_slash=False)
    assert f'realm="{realm}",' in sandbox.v2("GET", "/v2/").header("WWW-Authenticate")


def test_challenge_for_a_push_lists_no_actions(sandbox: Sandbox) -> None:
    target = "/v2/fresh/hello/blobs/uploads/"
    assert sandbox.v2("POST", target).header("WWW-Authenticate").endswith(',scope="repository:fresh/hello:"')
    pull = sandbox.v2("GET", "/v2/fresh/hello/manifests/v1")
    assert pull.header("WWW-Authenticate").endswith(',scope="repository:fresh/hello:pull"')
    sandbox.set(push_challenge_actions=True)
    assert sandbox.v2("POST", target).header("WWW-Authenticate").endswith('hello:pull,push"')


def test_basic_is_rejected_on_v2(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    credentials = {"Authorization": basic(secret=LOGIN_KEY)}
    assert sandbox.v2("GET", "/v2/", credentials).status == 401
    sandbox.set(basic_on_v2=True)
    assert sandbox.v2("GET", "/v2/", credentials).status == 200
    assert sandbox.v2("GET", "/v2/fresh/hello/manifests/v1", credentials).status == 200


def test_responses_include_forserver(sandbox: Sandbox) -> None:
    assert sandbox.v2("GET", "/v2/").headers["forserver"] == "swr"
    sandbox.set(forserver=False)
    assert sandbox.v2("GET", "/v2/").headers["forserver"] is None


def test_catalog_is_404(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    token = sandbox.bearer("fresh/hello")
    assert sandbox.v2("GET", "/v2/_catalog").status == 401
    assert sandbox.v2("GET", "/v2/_catalog", token).status == 404
    sandbox.set(catalog=True)
    assert sandbox.v2("GET", "/v2/_catalog", token).json == {"repositories": ["fresh/hello"]}


def test_unknown_url_has_the_registry_error_format(sandbox: Sandbox) -> None:
    answer = sandbox.v2("GET", "/v3/")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert sandbox.v2("POST", "/v2/").status == 405


# tokens


def test_login_without_scope_returns_a_token_without_access(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    answer = sandbox.log_in()
    assert set(answer.json) == {"token"}
    token = {"Authorization": f"Bearer {answer.json['token']}"}
    assert jwt_claims(answer.json["token"])["access"] == []
    assert sandbox.v2("GET", "/v2/", token).status == 200
    assert sandbox.v2("GET", "/v2/fresh/hello/manifests/v1", token).status == 401


def test_token_endpoint_is_get_only(sandbox: Sandbox) -> None:
    headers = {"Authorization": basic(secret=LOGIN_KEY)}
    assert call(sandbox.registry, "POST", AUTH, headers).status == 404
    sandbox.set(token_post=True)
    assert call(sandbox.registry, "POST", AUTH, headers).status == 200


def test_secret_key_is_rejected_as_password(sandbox: Sandbox) -> None:
    answer = sandbox.log_in(secret=SECRET_KEY)
    assert (answer.status, answer.code) == (401, "DENIED")
    assert answer.json["errors"][0]["message"] == "Authenticate Error"
    sandbox.set(plain_secret=True)
    assert sandbox.log_in(secret=SECRET_KEY).status == 200


@pytest.mark.parametrize(
    ("user", "secret"),
    [
        (f"{PROJECT}@{ACCESS_KEY}", WRONG_SECRET),
        (f"eu-nl@{ACCESS_KEY}", LOGIN_KEY),
        (ACCESS_KEY, LOGIN_KEY),
        (f"{PROJECT}@{OTHER_ACCESS_KEY}", LOGIN_KEY),
        (f"{PROJECT}@AKNOBODY", LOGIN_KEY),
    ],
)
def test_wrong_credentials_are_rejected(sandbox: Sandbox, user: str, secret: str) -> None:
    assert sandbox.log_in(user=user, secret=secret).status == 401


def test_every_project_of_the_account_can_log_in(sandbox: Sandbox) -> None:
    assert sandbox.log_in(user=f"eu-de_team@{ACCESS_KEY}").status == 200


def test_scope_in_a_missing_organization_is_rejected(sandbox: Sandbox) -> None:
    answer = sandbox.log_in("repository:missing/hello:pull")
    assert (answer.status, answer.code) == (401, "DENIED")
    assert answer.json["errors"][0] == {"code": "DENIED", "message": "Image organization does not exist", "detail": ""}
    sandbox.set(deny_missing_organization=False)
    token = sandbox.bearer("missing/hello", "pull")
    refused = sandbox.v2("GET", "/v2/missing/hello/tags/list", token)
    assert refused.json["errors"][0]["message"] == "Image organization does not exist"


@pytest.mark.parametrize("auth", [0, 1, 3, 7])
def test_token_covers_the_permission_of_the_account(sandbox: Sandbox, auth: int) -> None:
    sandbox.store.create_organization("theirs", "other", auth={ACCESS_KEY: auth} if auth else {})
    granted = [
        sandbox.log_in(f"repository:theirs/hello:{actions}").status == 200
        for actions in ("pull", "pull,push", "delete")
    ]
    assert granted == [auth >= 1, auth >= 3, auth >= 7]


def test_excess_scope_is_rejected_or_reduced(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("theirs", "other", auth={ACCESS_KEY: 1})
    answer = sandbox.log_in("repository:theirs/hello:pull,push")
    assert answer.json["errors"][0] == {"code": "DENIED", "message": "you do not have the permission", "detail": ""}
    sandbox.set(excess_scope="downscope")
    answer = sandbox.log_in("repository:theirs/hello:pull,push")
    assert jwt_claims(answer.json["token"])["access"][0]["actions"] == ["pull"]


def test_second_scope_can_be_rejected_or_ignored(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    scopes = ("repository:fresh/hello:pull", "repository:fresh/other:pull")
    sandbox.set(scopes="refused")
    assert sandbox.log_in(*scopes).status == 400
    assert sandbox.log_in(scopes[0]).status == 200
    sandbox.set(scopes="first")
    token = sandbox.log_in(*scopes).json["token"]
    for name, status in (("hello", 404), ("other", 401)):
        target = f"/v2/fresh/{name}/blobs/sha256:{'a' * 64}"
        assert sandbox.v2("GET", target, {"Authorization": f"Bearer {token}"}).status == status


def test_token_covers_several_scopes(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    answer = sandbox.log_in("repository:fresh/a:pull", "repository:fresh/b:push,pull repository:fresh/a:push")
    access = {each["name"]: each["actions"] for each in jwt_claims(answer.json["token"])["access"]}
    assert access == {"fresh/a": ["pull", "push"], "fresh/b": ["pull", "push"]}


@pytest.mark.parametrize("scope", ["registry:catalog:*", "repository:fresh", "repository::pull", "x"])
def test_invalid_scope_is_rejected(sandbox: Sandbox, scope: str) -> None:
    assert sandbox.log_in(scope).status == 400


def test_token_contains_its_lifetime(sandbox: Sandbox) -> None:
    claims = jwt_claims(sandbox.log_in().json["token"])
    assert claims["exp"] - claims["iat"] == 900
    assert claims["exp"] > time.time()
    sandbox.set(expires_in=True, token_seconds=5)
    answer = sandbox.log_in().json
    assert answer["expires_in"] == 5


def test_expired_token_is_rejected(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    sandbox.set(token_seconds=0)
    answer = sandbox.v2("GET", "/v2/fresh/hello/manifests/v1", sandbox.bearer("fresh/hello"))
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.header("WWW-Authenticate")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b.é"])
def test_invalid_token_is_rejected(sandbox: Sandbox, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    assert sandbox.v2("GET", "/v2/", headers).status == 401


def test_token_covers_only_its_repository_and_actions(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    pull = sandbox.bearer("fresh/hello", "pull")
    assert sandbox.v2("GET", "/v2/fresh/hello/manifests/v1", pull).status == 200
    refused = sandbox.v2("POST", "/v2/fresh/hello/blobs/uploads/", pull)
    assert refused.status == 401
    assert 'error="insufficient_scope"' in refused.header("WWW-Authenticate")
    assert sandbox.v2("GET", "/v2/fresh/other/tags/list", pull).status == 401
    sandbox.set(wrong_scope_status="403")
    refused = sandbox.v2("POST", "/v2/fresh/hello/blobs/uploads/", pull)
    assert (refused.status, refused.code) == (403, "DENIED")


def test_deleted_organization_is_401(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    token = sandbox.bearer("fresh/hello")
    sandbox.store.delete_organization("fresh")
    answer = sandbox.v2("GET", "/v2/fresh/hello/manifests/v1", token)
    assert (answer.status, answer.json["errors"][0]["message"]) == (401, "Image organization does not exist")


def test_revoked_permission_applies_at_once(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("theirs", "other", auth={ACCESS_KEY: 3})
    token = sandbox.bearer("theirs/hello")
    sandbox.store.create_organization("theirs", "other", auth={ACCESS_KEY: 1})
    answer = sandbox.v2("POST", "/v2/theirs/hello/blobs/uploads/", token)
    assert (answer.status, answer.code) == (401, "DENIED")


def test_invalid_repository_name_is_rejected(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    token = sandbox.bearer("fresh/UPPER")
    assert sandbox.v2("POST", "/v2/fresh/UPPER/blobs/uploads/", token).code == "NAME_INVALID"


# tags


def test_tags_of_a_missing_repository_are_null(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("fresh")
    token = sandbox.bearer("fresh/nothing")
    answer = sandbox.v2("GET", "/v2/fresh/nothing/tags/list", token)
    assert (answer.status, answer.json) == (200, {"name": "fresh/nothing", "tags": None})
    sandbox.set(missing_tags_null=False)
    assert sandbox.v2("GET", "/v2/fresh/nothing/tags/list", token).code == "NAME_UNKNOWN"


def test_tags_can_contain_empty_strings(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1", "a")
    token = sandbox.bearer("fresh/hello")
    assert sandbox.v2("GET", "/v2/fresh/hello/tags/list", token).json["tags"] == ["a", "v1"]
    sandbox.set(empty_tags=2)
    assert sandbox.v2("GET", "/v2/fresh/hello/tags/list", token).json["tags"] == ["", "", "a", "v1"]


def test_tags_are_paged(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "a", "b", "c")
    token = sandbox.bearer("fresh/hello")
    first = sandbox.v2("GET", "/v2/fresh/hello/tags/list?n=2", token)
    assert first.json["tags"] == ["a", "b"]
    assert first.header("Link") == '</v2/fresh/hello/tags/list?last=b&n=2>; rel="next"'
    second = sandbox.v2("GET", "/v2/fresh/hello/tags/list?last=b&n=2", token)
    assert (second.json["tags"], second.headers["Link"]) == (["c"], None)
    sandbox.set(tags_page=1)
    unasked = sandbox.v2("GET", "/v2/fresh/hello/tags/list", token)
    assert unasked.json["tags"] == ["a"]
    assert unasked.header("Link") == '</v2/fresh/hello/tags/list?last=a&n=1>; rel="next"'
    sandbox.set(tags_paging=False)
    for query in ("", "?n=2"):
        assert sandbox.v2("GET", f"/v2/fresh/hello/tags/list{query}", token).json["tags"] == ["a", "b", "c"]


# the rate


def test_requests_above_the_rate_are_503(sandbox: Sandbox) -> None:
    token = {"Authorization": f"Bearer {sandbox.log_in().json['token']}"}
    sandbox.set(rate=1)

    def refused() -> Answer:
        """A rejected request of several concurrent ones, which fall into one second even on a busy machine."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: sandbox.v2("GET", "/v2/", token), range(16)))
        assert {answer.status for answer in answers} <= {200, 503}
        return next(answer for answer in answers if answer.status == 503)

    assert refused().headers["Retry-After"] is None
    assert sandbox.v2("GET", "/v2/").status == 401, "who is nobody uses nobody's rate"
    sandbox.set(retry_after=2)
    assert refused().header("Retry-After") == "2"
    sandbox.set(rate=0)
    assert sandbox.v2("GET", "/v2/", token).status == 200
