from __future__ import annotations

import json

import pytest

from tests.credentials import ACCESS_KEY
from tests.sandbox.client import (
    CONFIG,
    DOCKER,
    DOCKER_LIST,
    OCI,
    OCI_INDEX,
    Sandbox,
    descriptor,
    digest_of,
    image,
    seed,
)

REPOSITORY = "fresh/hello"
REFUSED = "Invalid image, fail to parse 'manifest.json'"


@pytest.fixture
def token(sandbox: Sandbox) -> dict[str, str]:
    sandbox.store.create_organization("fresh")
    sandbox.store.put_blob(REPOSITORY, CONFIG)
    sandbox.set(rate=0)
    return sandbox.bearer(REPOSITORY)


def index(*children: bytes, media_type: str = OCI_INDEX, child_type: str = OCI) -> bytes:
    manifests = [descriptor(child, child_type) for child in children]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}).encode()


def test_manifest_is_returned_byte_for_byte(sandbox: Sandbox, token: dict[str, str]) -> None:
    data = image() + b"\n  "
    answer = sandbox.put_manifest(REPOSITORY, "v1", data, token)
    assert (answer.status, answer.header("Docker-Content-Digest")) == (201, digest_of(data))
    for reference in ("v1", digest_of(data)):
        read = sandbox.v2("GET", f"/v2/{REPOSITORY}/manifests/{reference}", token)
        assert (read.status, read.body, read.header("Content-Type")) == (200, data, DOCKER)
        assert read.header("Docker-Content-Digest") == digest_of(data)
        head = sandbox.v2("HEAD", f"/v2/{REPOSITORY}/manifests/{reference}", token)
        assert (head.status, head.header("Content-Length")) == (200, str(len(data)))
        assert head.header("Docker-Content-Digest") == digest_of(data)


def test_accept_is_ignored(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.put_manifest(REPOSITORY, "v1", image(), token)
    assert sandbox.v2("GET", f"/v2/{REPOSITORY}/manifests/v1", token, Accept=OCI).header("Content-Type") == DOCKER


def test_digest_header_can_be_missing(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.set(head_digest=False, put_digest=False)
    answer = sandbox.put_manifest(REPOSITORY, "v1", image(), token)
    assert answer.headers["Docker-Content-Digest"] is None
    assert sandbox.v2("HEAD", f"/v2/{REPOSITORY}/manifests/v1", token).headers["Docker-Content-Digest"] is None
    assert sandbox.v2("GET", f"/v2/{REPOSITORY}/manifests/v1", token).headers["Docker-Content-Digest"] is not None


@pytest.mark.parametrize("reference", ["v9", digest_of(b"nothing")])
def test_missing_manifest_is_404(sandbox: Sandbox, token: dict[str, str], reference: str) -> None:
    answer = sandbox.v2("GET", f"/v2/{REPOSITORY}/manifests/{reference}", token)
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")


def test_references_must_exist_in_the_repository(sandbox: Sandbox, token: dict[str, str]) -> None:
    data = image(CONFIG, b"missing")
    answer = sandbox.put_manifest(REPOSITORY, "v1", data, token)
    assert (answer.status, answer.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    elsewhere = sandbox.store.put_blob("fresh/other", b"missing")
    assert sandbox.put_manifest(REPOSITORY, "v1", data, token).status == 400, "blobs belong to their repository"
    listed = index(data, media_type=DOCKER_LIST, child_type=DOCKER)
    assert sandbox.put_manifest(REPOSITORY, "v1", listed, token, DOCKER_LIST).code == "MANIFEST_BLOB_UNKNOWN"
    sandbox.set(check_references=False)
    assert sandbox.put_manifest(REPOSITORY, "v1", data, token).status == 201
    assert not sandbox.store.has_blob(REPOSITORY, elsewhere)


def test_foreign_layers_need_not_exist(sandbox: Sandbox, token: dict[str, str]) -> None:
    value = json.loads(image(CONFIG, b"missing"))
    value["layers"][0]["urls"] = ["https://elsewhere.example"]
    assert sandbox.put_manifest(REPOSITORY, "v1", json.dumps(value).encode(), token).status == 201


@pytest.mark.parametrize(
    ("oci", "accepted"),
    [
        ("refuse-index", [DOCKER, DOCKER_LIST, OCI]),
        ("refuse-all", [DOCKER, DOCKER_LIST]),
        ("accept", [DOCKER, DOCKER_LIST, OCI, OCI_INDEX]),
    ],
)
def test_rejected_oci_types_are_a_knob(sandbox: Sandbox, token: dict[str, str], oci: str, accepted: list[str]) -> None:
    child = image(media_type=OCI)
    sandbox.store.put_manifest(REPOSITORY, digest_of(child), child, OCI)
    sandbox.set(oci=oci)
    documents = {
        DOCKER: image(),
        DOCKER_LIST: index(child, media_type=DOCKER_LIST),
        OCI: child,
        OCI_INDEX: index(child),
    }
    answers = {kind: sandbox.put_manifest(REPOSITORY, "v1", data, token, kind) for kind, data in documents.items()}
    assert [kind for kind, answer in answers.items() if answer.status == 201] == accepted
    for kind in set(documents) - set(accepted):
        assert (answers[kind].status, answers[kind].code) == (400, "MANIFEST_INVALID")
        assert answers[kind].json["errors"][0]["message"] == REFUSED


def test_artifacts_are_a_knob(sandbox: Sandbox, token: dict[str, str]) -> None:
    value = json.loads(image(media_type=OCI))
    value["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    chart = json.dumps(value).encode()
    assert sandbox.put_manifest(REPOSITORY, "v1", chart, token, OCI).status == 201
    sandbox.set(artifacts=False)
    assert sandbox.put_manifest(REPOSITORY, "v1", chart, token, OCI).code == "MANIFEST_INVALID"
    assert sandbox.put_manifest(REPOSITORY, "v1", image(media_type=OCI), token, OCI).status == 201


def test_zstd_is_a_knob(sandbox: Sandbox, token: dict[str, str]) -> None:
    sandbox.store.put_blob(REPOSITORY, b"layer")
    data = image(CONFIG, b"layer", media_type=OCI).replace(b"tar.gzip", b"tar+zstd")
    assert sandbox.put_manifest(REPOSITORY, "v1", data, token, OCI).status == 201
    sandbox.set(zstd=False)
    assert sandbox.put_manifest(REPOSITORY, "v1", data, token, OCI).code == "MANIFEST_INVALID"


ATTESTATION = {"platform": {"architecture": "unknown", "os": "unknown"}}
PLATFORM = {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "1", "os.features": ["a"]}


def with_fields(data: bytes, *path: str | int, **fields: object) -> bytes:
    """The document with additional fields in the object at the path."""
    document = json.loads(data)
    found = document
    for step in path:
        found = found[step]
    found.update(fields)
    return json.dumps(document).encode()


@pytest.mark.parametrize(("oci", "status"), [("refuse-index", 400), ("accept", 201)])
def test_list_with_attestation_is_rejected(sandbox: Sandbox, token: dict[str, str], oci: str, status: int) -> None:
    """Also a Docker manifest list, since two build flags are needed (docs/facts/swr.md §6)."""
    child = image(media_type=OCI)
    sandbox.store.put_manifest(REPOSITORY, digest_of(child), child, OCI)
    sandbox.set(oci=oci)
    oci_index = with_fields(index(child), "manifests", 0, **ATTESTATION)
    docker_list = with_fields(index(child, media_type=DOCKER_LIST), "manifests", 0, **ATTESTATION)
    assert sandbox.put_manifest(REPOSITORY, "v1", oci_index, token, OCI_INDEX).status == status
    assert sandbox.put_manifest(REPOSITORY, "v1", docker_list, token, DOCKER_LIST).json["errors"][0] == {
        "code": "MANIFEST_INVALID",
        "message": REFUSED,
        "detail": "",
    }
    sandbox.set(attestations=True)
    assert sandbox.put_manifest(REPOSITORY, "v1", docker_list, token, DOCKER_LIST).status == 201


def test_docker_list_of_oci_manifests_is_a_knob(sandbox: Sandbox, token: dict[str, str]) -> None:
    child = image(media_type=OCI)
    sandbox.put_manifest(REPOSITORY, digest_of(child), child, token, OCI)
    mixed, own = index(child, media_type=DOCKER_LIST), index(media_type=DOCKER_LIST)
    assert sandbox.put_manifest(REPOSITORY, "v1", mixed, token, DOCKER_LIST).status == 201
    sandbox.set(oci_children=False, oci="accept")
    assert sandbox.put_manifest(REPOSITORY, "v1", mixed, token, DOCKER_LIST).code == "MANIFEST_INVALID"
    assert sandbox.put_manifest(REPOSITORY, "v1", own, token, DOCKER_LIST).status == 201
    assert sandbox.put_manifest(REPOSITORY, "v1", index(child), token, OCI_INDEX).status == 201


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (with_fields(image(), annotations={"a": "b"}), DOCKER),
        (with_fields(image(), "config", annotations={}), DOCKER),
        (with_fields(image(CONFIG, CONFIG), "layers", 0, platform={}), DOCKER),
        (with_fields(index(image(), media_type=DOCKER_LIST, child_type=DOCKER), annotations={}), DOCKER_LIST),
        (
            with_fields(index(image(), media_type=DOCKER_LIST, child_type=DOCKER), "manifests", 0, annotations={}),
            DOCKER_LIST,
        ),
        (
            with_fields(
                index(image(), media_type=DOCKER_LIST, child_type=DOCKER), "manifests", 0, platform={"bits": 64}
            ),
            DOCKER_LIST,
        ),
    ],
)
def test_non_docker_fields_are_a_knob(sandbox: Sandbox, token: dict[str, str], data: bytes, media_type: str) -> None:
    sandbox.put_manifest(REPOSITORY, digest_of(image()), image(), token)
    assert sandbox.put_manifest(REPOSITORY, "v1", data, token, media_type).status == 201
    sandbox.set(unknown_fields=False)
    refused = sandbox.put_manifest(REPOSITORY, "v1", data, token, media_type)
    assert (refused.status, refused.json["errors"][0]["message"]) == (400, REFUSED)


def test_docker_fields_are_accepted(sandbox: Sandbox, token: dict[str, str]) -> None:
    """OCI manifests can have annotations."""
    sandbox.set(unknown_fields=False, oci="accept")
    foreign = with_fields(image(CONFIG, b"foreign"), "layers", 0, urls=["https://elsewhere.example"])
    listed = with_fields(
        index(foreign, media_type=DOCKER_LIST, child_type=DOCKER), "manifests", 0, platform={**PLATFORM, "features": []}
    )
    annotated = with_fields(image(media_type=OCI), annotations={"a": "b"})
    assert sandbox.put_manifest(REPOSITORY, digest_of(foreign), foreign, token).status == 201
    assert sandbox.put_manifest(REPOSITORY, "list", listed, token, DOCKER_LIST).status == 201
    assert sandbox.put_manifest(REPOSITORY, "oci", annotated, token, OCI).status == 201


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2}',
        image(media_type=OCI),
        b'{"schemaVersion":2,"config":{}}',
    ],
)
def test_invalid_manifest_is_rejected(sandbox: Sandbox, token: dict[str, str], data: bytes) -> None:
    answer = sandbox.put_manifest(REPOSITORY, "v1", data, token)
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


def test_manifest_above_four_mebibytes_is_413(sandbox: Sandbox, token: dict[str, str]) -> None:
    assert sandbox.put_manifest(REPOSITORY, "v1", b" " * (4 << 20) + image(), token).status == 413


def test_invalid_reference_is_rejected(sandbox: Sandbox, token: dict[str, str]) -> None:
    assert sandbox.put_manifest(REPOSITORY, digest_of(b"other"), image(), token).code == "DIGEST_INVALID"
    assert sandbox.put_manifest(REPOSITORY, "-v1", image(), token).code == "TAG_INVALID"
    assert sandbox.put_manifest(REPOSITORY, digest_of(image()), image(), token).status == 201
    assert sandbox.store.tags(REPOSITORY) == {}


@pytest.mark.parametrize(
    ("knob", "by_tag", "by_digest"),
    [("accept", 202, 202), ("tag", 202, 405), ("digest", 405, 202), ("refuse", 405, 405)],
)
def test_deletion_is_a_knob(sandbox: Sandbox, token: dict[str, str], knob: str, by_tag: int, by_digest: int) -> None:
    seed(sandbox.store, REPOSITORY, "v1")
    digest = seed(sandbox.store, REPOSITORY, "v2", layer=b"2")
    sandbox.set(manifest_delete=knob)
    assert sandbox.v2("DELETE", f"/v2/{REPOSITORY}/manifests/v1", token).status == by_tag
    assert ("v1" in sandbox.store.tags(REPOSITORY)) == (by_tag == 405)
    assert sandbox.v2("DELETE", f"/v2/{REPOSITORY}/manifests/{digest}", token).status == by_digest
    assert ("v2" in sandbox.store.tags(REPOSITORY)) == (by_digest == 405)


@pytest.mark.parametrize(("meaning", "left"), [("tag", ["v2"]), ("manifest", [])])
def test_deletion_by_tag_deletes_tag_or_manifest(
    sandbox: Sandbox, token: dict[str, str], meaning: str, left: list[str]
) -> None:
    sandbox.set(delete_by_tag=meaning)
    for tag in ("v1", "v2"):
        sandbox.put_manifest(REPOSITORY, tag, image(), token)
    assert sandbox.v2("DELETE", f"/v2/{REPOSITORY}/manifests/v1", token).status == 202
    assert list(sandbox.store.tags(REPOSITORY)) == left
    assert sandbox.v2("DELETE", f"/v2/{REPOSITORY}/manifests/v1", token).status == 404


@pytest.mark.parametrize(("actions", "pushing"), [("push", 202), ("all", 401)])
def test_token_action_for_deletion_is_a_knob(
    sandbox: Sandbox, token: dict[str, str], actions: str, pushing: int
) -> None:
    sandbox.set(delete_actions=actions)
    sandbox.put_manifest(REPOSITORY, "v1", image(), token)
    assert sandbox.v2("DELETE", f"/v2/{REPOSITORY}/manifests/v1", token).status == pushing
    sandbox.put_manifest(REPOSITORY, "v1", image(), token)
    every = sandbox.bearer(REPOSITORY, "*")
    assert sandbox.v2("DELETE", f"/v2/{REPOSITORY}/manifests/v1", every).status == 202


@pytest.mark.parametrize(("knob", "kind"), [("exact", DOCKER), ("json", "application/json"), ("absent", None)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_content_type_is_a_knob(
    sandbox: Sandbox, token: dict[str, str], method: str, knob: str, kind: str | None
) -> None:
    sandbox.put_manifest(REPOSITORY, "v1", image(), token)
    sandbox.set(manifest_type=knob)
    answer = sandbox.v2(method, f"/v2/{REPOSITORY}/manifests/v1", token)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)


def test_deletion_needs_manage_permission(sandbox: Sandbox) -> None:
    sandbox.store.create_organization("theirs", "other", auth={ACCESS_KEY: 3})
    seed(sandbox.store, "theirs/hello", "v1")
    answer = sandbox.v2("DELETE", "/v2/theirs/hello/manifests/v1", sandbox.bearer("theirs/hello"))
    assert (answer.status, answer.code) == (401, "DENIED")
    assert sandbox.store.tags("theirs/hello")
