"""The management API: documents, paging and errors."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.credentials import ACCESS_KEY
from tests.sandbox.client import CONFIG, DOCKER, DOCKER_LIST, Sandbox, call, descriptor, digest_of, image, seed


def test_versions_need_no_credentials(sandbox: Sandbox) -> None:
    assert call(sandbox.api, "GET", "/").json["versions"][0]["id"] == "v2"
    assert call(sandbox.api, "GET", "/v2").json["version"]["links"] == {"href": "", "rel": "self"}


# organizations


def test_organization_is_created_listed_and_deleted(sandbox: Sandbox) -> None:
    created = sandbox.manage("POST", "namespaces", {"namespace": "fresh"})
    assert (created.status, created.body) == (201, b"")
    shape = sandbox.manage("GET", "namespaces/fresh").json
    assert (shape["name"], shape["creator_name"], shape["auth"]) == ("fresh", ACCESS_KEY, 7)
    assert isinstance(shape["id"], int)
    assert sandbox.manage("GET", "namespaces").json == {"namespaces": [shape]}
    assert sandbox.manage("DELETE", "namespaces/fresh").status == 204
    assert sandbox.manage("GET", "namespaces/fresh").code == "SVCSTG.SWR.4040058"


def test_undocumented_fields_are_a_knob(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    assert sandbox.manage("GET", "namespaces/fresh").json["repo_count"] == 1
    sandbox.set(extra_fields=False)
    assert set(sandbox.manage("GET", "namespaces/fresh").json) == {"id", "name", "creator_name", "auth"}


@pytest.mark.parametrize("query", ["namespace=b", "filter=" + quote("namespace::b|mode::visible", safe="")])
def test_organizations_are_filtered(sandbox: Sandbox, query: str) -> None:
    sandbox.store.create_organization("b")
    sandbox.store.create_organization("bb")
    assert [
        each["name"] for each in sandbox.manage("GET", f"namespaces?{quote(query, safe='=&%')}").json["namespaces"]
    ] == ["b"]


def test_organizations_of_other_tenants_are_403(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("theirs", "other")
    assert sandbox.manage("GET", "namespaces").json == {"namespaces": []}
    for method, target in (
        ("GET", "namespaces/theirs"),
        ("DELETE", "namespaces/theirs"),
        ("GET", "namespaces/theirs/repos/x/tags"),
    ):
        answer = sandbox.manage(method, target)
        assert (answer.status, answer.code) == (403, "SVCSTG.SWR.4039001")


@pytest.mark.parametrize("name", ["library", "theirs", "mine"])
def test_used_name_is_409(sandbox: Sandbox, name: str) -> None:
    sandbox.store.create_organization("theirs", "other")
    sandbox.store.create_organization("mine")
    answer = sandbox.manage("POST", "namespaces", {"namespace": name})
    assert (answer.status, answer.code) == (409, "SVCSTG.SWR.4090060")


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", "a-", "a..b", "a___b", "a._b", "a" * 65, "a/b", "a b", 7])
def test_invalid_name_is_rejected(sandbox: Sandbox, name: object) -> None:
    answer = sandbox.manage("POST", "namespaces", {"namespace": name})
    assert (answer.status, answer.code) == (400, "SVCSTG.SWR.4001028")


@pytest.mark.parametrize("name", ["a", "a--b", "a__b", "a.b", "a" * 64])
def test_valid_name_is_accepted(sandbox: Sandbox, name: str) -> None:
    assert sandbox.manage("POST", "namespaces", {"namespace": name}).status == 201


@pytest.mark.parametrize(
    ("knob", "value", "name", "status"),
    [("reserved", "", "library", 201), ("dots", False, "a.b", 400), ("create_status", "200", "fresh", 200)],
)
def test_knobs_of_creation(sandbox: Sandbox, knob: str, value: object, name: str, status: int) -> None:
    sandbox.set(**{knob: value})
    assert sandbox.manage("POST", "namespaces", {"namespace": name}).status == status


@pytest.mark.parametrize("body", [{"name": "x"}, [], None])
def test_invalid_body_is_rejected(sandbox: Sandbox, body: object) -> None:
    assert sandbox.manage("POST", "namespaces", body).code == "SVCSTG.SWR.4001018"


def test_quota_of_organizations(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("theirs", "other")
    statuses = [sandbox.manage("POST", "namespaces", {"namespace": f"n{i}"}).status for i in range(6)]
    assert statuses == [201] * 5 + [400]
    refused = sandbox.manage("POST", "namespaces", {"namespace": "n9"})
    assert refused.code == "SVCSTG.SWR.4000097"
    quota = {"quota_key": "namespace", "quota_limit": 5, "used": 5, "unit": ""}
    assert sandbox.manage("GET", "projects/any/quotas").json == {"quotas": [quota]}
    sandbox.set(organizations=6)
    assert sandbox.manage("POST", "namespaces", {"namespace": "n9"}).status == 201


def test_organization_with_images_is_not_deleted(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/hello", "v1")
    answer = sandbox.manage("DELETE", "namespaces/fresh")
    assert (answer.status, answer.code) == (406, "SVCSTG.SWR.4060074")


@pytest.mark.parametrize("auth", [1, 3])
def test_deletion_needs_manage_permission(sandbox: Sandbox, auth: int) -> None:
    sandbox.store.create_organization("theirs", "other", auth={ACCESS_KEY: auth})
    seed(sandbox.store, "theirs/hello", "v1")
    assert sandbox.manage("GET", "namespaces/theirs").json["auth"] == auth
    assert sandbox.manage("GET", "namespaces/theirs/repos/hello").status == 200
    for target in ("namespaces/theirs", "namespaces/theirs/repos/hello", "namespaces/theirs/repos/hello/tags/v1"):
        answer = sandbox.manage("DELETE", target)
        assert (answer.status, answer.code) == (403, "SVCSTG.SWR.4039002")


# repositories


def test_repository_listing(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/a/b", "v1", "v2", "v3", "v4")
    seed(sandbox.store, "other/x", "v1")
    sandbox.store.create_organization("theirs", "other")
    seed(sandbox.store, "theirs/x", "v1")
    answer = sandbox.manage("GET", "repos")
    assert answer.header("Content-Range") == "0-2/2"
    assert [(each["namespace"], each["name"]) for each in answer.json] == [("fresh", "a/b"), ("other", "x")]
    first = answer.json[0]
    assert (first["tags"], first["num_images"], first["size"]) == (
        ["v1", "v2", "v3", "v4"],
        4,
        4 * (len(CONFIG) + len(b"layer")),
    )
    assert first["path"] == f"127.0.0.1:{sandbox.registry}/fresh/a/b"
    sandbox.set(listed_tags=1)
    assert sandbox.manage("GET", "repos").json[0]["tags"] == ["v1"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("namespace=fresh", ["a", "ab"]),
        ("name=a", ["a", "a"]),
        ("filter=name%3A%3Aa", ["a", "ab", "a"]),
        ("filter=name%3A%3Aa%7Cnamespace%3A%3Afre", ["a", "ab"]),
        ("filter=center%3A%3Aself", ["a", "ab", "a"]),
        ("order_type=desc", ["a", "ab", "a"]),
        ("order_column=updated_time", ["ab", "a", "a"]),
    ],
)
def test_repositories_are_filtered_and_ordered(sandbox: Sandbox, query: str, names: list[str]) -> None:
    for name in ("fresh/ab", "fresh/a", "zz/a"):
        seed(sandbox.store, name, "v1")
    assert [each["name"] for each in sandbox.manage("GET", f"repos?{query}").json] == names


def test_repositories_are_paged(sandbox: Sandbox) -> None:
    sandbox.set(default_page=2, max_page=3)
    for name in "abcd":
        seed(sandbox.store, f"fresh/{name}", "v1")
    assert [each["name"] for each in sandbox.manage("GET", "repos").json] == ["a", "b"]
    page = sandbox.manage("GET", "repos?limit=3&offset=2")
    assert ([each["name"] for each in page.json], page.header("Content-Range")) == (["c", "d"], "2-2/4")
    assert page.json[0]["total_range"] == 4
    beyond = sandbox.manage("GET", "repos?limit=3&offset=9")
    assert (beyond.json, beyond.header("Content-Range")) == ([], "9-0/4")
    for query in ("limit=4&offset=0", "limit=0&offset=0", "limit=x&offset=0", "limit=2", "offset=2"):
        assert sandbox.manage("GET", f"repos?{query}").code == "SVCSTG.SWR.4000056"
    sandbox.set(paging_pairs=False, content_range="paged")
    assert [each["name"] for each in sandbox.manage("GET", "repos?limit=1").json] == ["a"]
    assert sandbox.manage("GET", "repos").headers["Content-Range"] is None


def test_nested_repository_is_addressed_with_dollars(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/a/b/c", "v1")
    detail = sandbox.manage("GET", "namespaces/fresh/repos/a$b$c").json
    assert (detail["name"], detail["num_images"], "created_at" in detail) == ("a/b/c", 1, False)
    assert sandbox.manage("GET", "namespaces/fresh/repos/a%2Fb%2Fc").code == "SVCSTG.SWR.4040083"
    sandbox.set(dollar_paths=False)
    assert sandbox.manage("GET", "namespaces/fresh/repos/a$b$c").code == "SVCSTG.SWR.4040113"


def test_repository_is_deleted(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/a/b", "v1")
    assert sandbox.manage("DELETE", "namespaces/fresh/repos/a$b").status == 204
    assert sandbox.store.repositories() == []
    gone = sandbox.manage("DELETE", "namespaces/fresh/repos/a$b")
    assert (gone.status, gone.code) == (404, "SVCSTG.SWR.4040113")
    seed(sandbox.store, "fresh/a/b", "v1")
    sandbox.set(delete_nonempty_repository=False)
    refused = sandbox.manage("DELETE", "namespaces/fresh/repos/a$b")
    assert (refused.status, refused.code) == (406, "SVCSTG.SWR.4060012")
    sandbox.manage("DELETE", "namespaces/fresh/repos/a$b/tags/v1")
    assert sandbox.manage("DELETE", "namespaces/fresh/repos/a$b").status == 204


@pytest.mark.parametrize("name", ["nothing", "UPPER", "..", "a$$b"])
def test_missing_repository_is_404(sandbox: Sandbox, name: str) -> None:
    sandbox.store.create_organization("fresh")
    assert sandbox.manage("GET", f"namespaces/fresh/repos/{name}/tags").status == 404


# tags


def test_tag_contains_its_manifest(sandbox: Sandbox) -> None:
    digest = seed(sandbox.store, "fresh/hello", "v1")
    answer = sandbox.manage("GET", "namespaces/fresh/repos/hello/tags")
    [tag] = answer.json
    assert answer.header("Content-Range") == "0-1/1"
    assert (tag["Tag"], tag["digest"], tag["tag_type"], tag["schema"]) == ("v1", digest, 0, 2)
    assert json.loads(tag["manifest"]) == json.loads(image(CONFIG, b"layer"))
    assert tag["image_id"] == digest_of(CONFIG).removeprefix("sha256:")


def test_tag_type_of_a_list_is_1(sandbox: Sandbox) -> None:
    digest = seed(sandbox.store, "fresh/hello")
    child = sandbox.store.manifest("fresh/hello", digest)
    assert child is not None
    value = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor(child.data, DOCKER)]}
    sandbox.store.put_manifest("fresh/hello", "v1", json.dumps(value).encode(), DOCKER_LIST)
    [tag] = sandbox.manage("GET", "namespaces/fresh/repos/hello/tags").json
    assert (tag["tag_type"], tag["image_id"]) == (1, "")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a", "ab", "b"]),
        ("?order_type=asc", ["b", "ab", "a"]),
        ("?order_column=tag&order_type=asc", ["a", "ab", "b"]),
        ("?tag=a", ["a"]),
        ("?filter=tag%3A%3Aa", ["a", "ab"]),
        ("?limit=1&offset=1", ["ab"]),
    ],
)
def test_tags_are_filtered_and_ordered(sandbox: Sandbox, query: str, names: list[str]) -> None:
    seed(sandbox.store, "fresh/hello", "b", "ab", "a")
    assert [tag["Tag"] for tag in sandbox.manage("GET", f"namespaces/fresh/repos/hello/tags{query}").json] == names


def test_tag_is_deleted(sandbox: Sandbox) -> None:
    seed(sandbox.store, "fresh/a/b", "v1", "v2")
    assert sandbox.manage("DELETE", "namespaces/fresh/repos/a$b/tags/v1").status == 204
    assert list(sandbox.store.tags("fresh/a/b")) == ["v2"]
    gone = sandbox.manage("DELETE", "namespaces/fresh/repos/a$b/tags/v1")
    assert (gone.status, gone.code) == (404, "SVCSTG.SWR.4040048")


def test_errors_are_arrays_or_objects(sandbox: Sandbox) -> None:
    array = sandbox.manage("GET", "namespaces/missing").json
    assert list(array[0]) == ["errorCode", "errorMessage", "detail"]
    sandbox.set(error_shape="object")
    answer = sandbox.manage("GET", "namespaces/missing").json
    assert answer["error_code"] == answer["errors"][0]["errorCode"] == "SVCSTG.SWR.4040058"
