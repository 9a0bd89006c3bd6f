"""Deletions with rare responses of SWR for single tags; the usual deletions are in tests/contract."""

from __future__ import annotations

import json

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    AdapterError,
    DeletionRefused,
    Denied,
    ManifestUnknown,
    RepositoryUnknown,
    TimedOut,
    Unavailable,
)
from adapter.references import RepositoryName, digest_of
from adapter.swr import deletion as module
from adapter.swr.annotations import SOURCE_DIGEST, with_content_digest
from adapter.swr.client import SwrClient
from adapter.swr.deletion import Deletion
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST
from adapter.swr.repository import Repository
from tests.swr.scripted import TOKEN_PATH, Swr, absence, client_of, error, jwt
from tests.swr.test_management import NAMESPACES, entry, refusal

MANAGED = f"{NAMESPACES}/org/repos/repo/tags"
OLD, NEW = b'{"schemaVersion":2,"a":1}', b'{"schemaVersion":2,"b":2}'
DIGEST = digest_of(OLD)
ORIGINAL = digest_of(b"an OCI index")
LIST = with_content_digest(
    json.dumps(
        {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [], "annotations": {SOURCE_DIGEST: ORIGINAL}},
        separators=(",", ":"),
    ).encode()
)
NO_REPOSITORY = refusal(404, "SVCSTG.SWR.4040113")
NO_TAG = refusal(404, "SVCSTG.SWR.4040048")


def manifest(data: bytes) -> Response:
    return Response(data, headers={"Docker-Content-Digest": digest_of(data), "Content-Type": DOCKER_MANIFEST})


UNSUPPORTED = error(405, "The operation is unsupported.", "UNSUPPORTED")
MISSING = error(404, "The operation is unsupported.", "MANIFEST_UNKNOWN")
NOT_SERVED = absence()


class Deleter:
    """Deletes in the repository org/repo; `swr` answers."""

    def __init__(self, swr: Swr, credentials: Credentials, deletion: Deletion) -> None:
        self.swr = swr
        self.repository = Repository(credentials, RepositoryName("org", "repo"))
        self.deletion = deletion

    def holds(self, *, digests: bool = True, manifests: bool = True, **tags: bytes) -> None:
        """Lets SWR list and serve these tags, and delete each through the management API."""
        rows = [
            {"Tag": name, "tag_type": 0, "size": 1}
            | ({"digest": digest_of(data)} if digests else {})
            | ({"manifest": data.decode()} if digests and manifests else {})
            for name, data in tags.items()
        ]
        header = {"Content-Range": f"0-{len(rows)}/{len(rows)}"}
        self.swr.answer("GET", MANAGED, Response(json.dumps(rows), headers=header))
        self.swr.answer("GET", "/v2/org/repo/tags/list", {"name": "org/repo", "tags": list(tags)})
        for name, data in tags.items():
            self.serves(name, manifest(data))
            self.swr.answer("DELETE", f"{MANAGED}/{name}", 204)

    def serves(self, reference: str, *answers: Response) -> None:
        """Sets the responses of /v2 to HEAD and GET; the last one is repeated."""
        left = list(answers)

        def answer(request: Request) -> Response:
            found = left.pop(0) if len(left) > 1 else left[0]
            return Response(found.get_data(), found.status_code, found.headers.to_wsgi_list())

        for method in ("HEAD", "GET"):
            self.swr.answer(method, f"/v2/org/repo/manifests/{reference}", answer)

    def on_delete(self, reference: str, *answers: Response | int) -> None:
        """Sets the responses of /v2 to DELETE."""
        self.swr.answer("DELETE", f"/v2/org/repo/manifests/{reference}", *answers)

    def tag(self, tag: str) -> None:
        self.deletion.tag(self.repository, tag)

    def tag_of(self, reference: str, tag: str) -> None:
        self.deletion.tag_of(self.repository, reference, tag)

    def manifest(self, digest: str) -> None:
        self.deletion.manifest(self.repository, digest)

    @property
    def deleted(self) -> list[str]:
        return [request.path.rpartition("/")[2] for request in self.swr.seen if request.method == "DELETE"]


@pytest.fixture
def deleter(swr: Swr, client: SwrClient, credentials: Credentials) -> Deleter:
    swr.grant()
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("org")]})
    return Deleter(swr, credentials, client.deletion)


@pytest.fixture
def key_deleter(deleter: Deleter, key_only: Credentials) -> Deleter:
    """With only the login key."""
    return Deleter(deleter.swr, key_only, deleter.deletion)


class TestDigest:
    @pytest.mark.parametrize(("data", "digest"), [(OLD, DIGEST), (LIST, ORIGINAL), (LIST, digest_of(LIST))])
    @pytest.mark.parametrize("listed", ["all", "digest", "name"])
    def test_only_current_tags_of_the_digest_are_deleted(
        self, deleter: Deleter, data: bytes, digest: str, listed: str
    ) -> None:
        """Tags that are listed without digest or manifest are looked up."""
        deleter.holds(digests=listed != "name", manifests=listed == "all", v1=data, v2=NEW, v3=data)
        deleter.manifest(digest)
        assert deleter.deleted == ["v1", "v3"]
        # The tag moved after the list was read.
        deleter.serves("v1", manifest(NEW))
        deleter.manifest(digest)
        assert deleter.deleted == ["v1", "v3", "v3"]

    def test_a_tag_that_moves_during_the_deletion_stays(self, deleter: Deleter) -> None:
        deleter.holds(v1=OLD, v2=OLD)

        def move(_: Request) -> Response:
            deleter.serves("v2", manifest(NEW))
            return Response(status=204)

        deleter.swr.answer("DELETE", f"{MANAGED}/v1", move)
        deleter.manifest(DIGEST)
        assert deleter.deleted == ["v1"]

    def test_without_tags_the_registry_deletes_the_digest(self, deleter: Deleter) -> None:
        deleter.holds(v1=OLD, v2=OLD)
        deleter.serves("v1", manifest(NEW))
        deleter.swr.answer("DELETE", f"{MANAGED}/v2", refusal(404, "SVCSTG.SWR.4041056"))
        deleter.serves("v2", manifest(OLD), NOT_SERVED)
        deleter.on_delete(DIGEST, 503, 202)
        deleter.manifest(DIGEST)
        assert deleter.deleted == ["v2", DIGEST, DIGEST]
        for answer, kind in ((MISSING, ManifestUnknown), (500, Unavailable)):
            deleter.on_delete(DIGEST, answer)
            deleter.serves(DIGEST, NOT_SERVED)
            with pytest.raises(kind):
                deleter.manifest(DIGEST)

    def test_too_many_look_ups_or_too_long_a_deletion_raise(
        self, deleter: Deleter, key_deleter: Deleter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_LOOKUPS", 2)
        deleter.holds(digests=False, v1=OLD, v2=NEW, v3=OLD)
        with pytest.raises(DeletionRefused, match=r"has 3 tags \(limit 2\); .*console"):
            deleter.manifest(DIGEST)
        assert not [request for request in deleter.swr.seen if request.method == "HEAD"]
        with pytest.raises(DeletionRefused, match="enter the SK"):
            key_deleter.tag("v1")
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", -1.0)
        deleter.holds(v1=OLD, v2=OLD)
        with pytest.raises(TimedOut, match="and 0 tags: delete again"):
            deleter.manifest(DIGEST)
        assert deleter.deleted == []

    @pytest.mark.parametrize("status", [400, 404, 405, 406, 415, 501])
    def test_a_digest_without_tags_is_not_deleted(self, deleter: Deleter, status: int) -> None:
        deleter.holds(v2=NEW)
        deleter.on_delete(DIGEST, error(status, "words", "UNSUPPORTED"))
        deleter.serves(DIGEST, manifest(OLD))
        with pytest.raises(DeletionRefused, match=f"nothing deleted: no tag of org/repo points to {DIGEST}"):
            deleter.manifest(DIGEST)
        # Harbor counts a 404 as success, whatever the management API returns.
        deleter.swr.answer("GET", MANAGED, NO_REPOSITORY)
        with pytest.raises(DeletionRefused, match="nothing deleted"):
            deleter.manifest(DIGEST)
        deleter.serves(DIGEST, NOT_SERVED)
        with pytest.raises(RepositoryUnknown):
            deleter.manifest(DIGEST)
        deleter.holds(v2=NEW)
        with pytest.raises(ManifestUnknown, match=DIGEST):
            deleter.manifest(DIGEST)
        assert deleter.deleted == [DIGEST] * 4

    def test_a_tag_that_the_registry_serves_is_not_missing(self, deleter: Deleter) -> None:
        deleter.holds(v1=OLD, v2=OLD)
        for answer in (NO_TAG, NO_REPOSITORY):
            deleter.swr.answer("DELETE", f"{MANAGED}/v2", answer)
            with pytest.raises(DeletionRefused, match=r"tag v2 .* although SWR's registry serves it"):
                deleter.tag("v2")
        with pytest.raises(DeletionRefused, match="tag v2"):
            deleter.manifest(DIGEST)
        deleter.serves("v2", NOT_SERVED)
        with pytest.raises(RepositoryUnknown):
            deleter.tag("v2")
        deleter.serves("v2", error(404, "words", "NAME_UNKNOWN"))
        with pytest.raises(RepositoryUnknown):
            deleter.tag("v2")


class TestDigestOfAnOriginal:
    """SWR has converted manifests, `LIST` of `ORIGINAL`, and no manifest with the digest of the original."""

    @pytest.fixture(autouse=True)
    def _unknown(self, deleter: Deleter) -> None:
        deleter.on_delete(ORIGINAL, MISSING)
        deleter.serves(ORIGINAL, NOT_SERVED)

    @pytest.mark.parametrize("by_key", [False, True], ids=["SK", "login key"])
    def test_tags_of_the_converted_manifest_are_deleted(
        self, deleter: Deleter, key_deleter: Deleter, by_key: bool
    ) -> None:
        each = key_deleter if by_key else deleter
        each.holds(v1=NEW, v2=LIST, v3=LIST)
        rows = [
            {"Tag": "v1", "manifest": NEW.decode()},
            {"Tag": "v2", "digest": digest_of(LIST)},
            {"Tag": "v3", "digest": digest_of(LIST), "manifest": LIST.decode()},
        ]
        each.swr.answer("GET", MANAGED, Response(json.dumps(rows)), Response("[]"))
        for tag in ("v2", "v3"):
            each.on_delete(tag, 202)
        each.manifest(ORIGINAL)
        assert each.deleted == [*([ORIGINAL] if by_key else []), "v2", "v3"]
        each.holds(v2=NEW)
        with pytest.raises(ManifestUnknown, match=ORIGINAL):
            each.manifest(ORIGINAL)

    def test_tags_with_a_manifest_are_not_looked_up(self, deleter: Deleter) -> None:
        plain = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": {}, "layers": []}).encode()
        deleter.holds(v1=plain, v2=plain)
        with pytest.raises(ManifestUnknown):
            deleter.manifest(ORIGINAL)
        assert not [request for request in deleter.swr.seen if request.path.endswith(("/v1", "/v2"))]

    @pytest.mark.parametrize("data", [NEW, LIST.replace(b'"manifests":[]', b'"manifests":[{}]')])
    def test_another_or_changed_manifest_stays(self, deleter: Deleter, data: bytes) -> None:
        deleter.holds(v1=data)
        with pytest.raises(ManifestUnknown):
            deleter.manifest(ORIGINAL)
        assert deleter.deleted == [ORIGINAL]

    def test_without_conversion_no_tag_points_to_an_original(self, deleter: Deleter, key_deleter: Deleter) -> None:
        deleter.holds(v1=LIST)
        off = client_of(deleter.swr, oci_index="refuse").deletion
        for each in (deleter, key_deleter):
            each.deletion = off
            with pytest.raises(ManifestUnknown):
                each.manifest(ORIGINAL)
        with pytest.raises(ManifestUnknown):
            deleter.tag_of(ORIGINAL, "v1")
        assert deleter.deleted == [ORIGINAL, ORIGINAL]
        deleter.tag_of(digest_of(LIST), "v1")
        deleter.serves("v0", NOT_SERVED)
        with pytest.raises(ManifestUnknown):
            deleter.tag_of(digest_of(LIST), "v0")


class TestTokens:
    """It is unknown which actions SWR requires for a deletion on /v2."""

    @pytest.fixture
    def requested(self, deleter: Deleter) -> list[str]:
        """The actions of each requested token."""
        actions: list[str] = []

        def issue(request: Request) -> Response:
            actions.append(request.args.get("scope", "").rpartition(":")[2])
            return Response(json.dumps({"token": jwt() + actions[-1].replace(",", "-").replace("*", "all")}))

        deleter.holds()
        deleter.swr.answer("GET", TOKEN_PATH, issue)
        return actions

    def require(self, swr: Swr, actions: str, status: int) -> None:
        def delete(request: Request) -> Response:
            granted = request.headers["Authorization"].endswith(actions)
            return Response(status=202) if granted else error(status, "you do not have the permission")

        swr.answer("DELETE", f"/v2/org/repo/manifests/{DIGEST}", delete)

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("actions", ["pull-push", "all"])
    def test_actions_are_requested_until_one_is_enough(
        self, deleter: Deleter, requested: list[str], actions: str, status: int
    ) -> None:
        self.require(deleter.swr, actions, status)
        deleter.manifest(DIGEST)
        assert "pull,push" in requested
        assert ("*" in requested) == (actions == "all")
        self.require(deleter.swr, "none", status)
        with pytest.raises(Denied, match="access to org/repo denied"):
            deleter.manifest(DIGEST)

    def test_a_blocked_account_sends_one_request(self, deleter: Deleter, requested: list[str]) -> None:
        deleter.on_delete(DIGEST, error(403, "Not allow to login, upload or download image"))
        with pytest.raises(AccountBlocked):
            deleter.manifest(DIGEST)
        assert len(deleter.deleted) == 1


class TestLoginKey:
    def test_the_registry_deletes_nothing(self, key_deleter: Deleter) -> None:
        key_deleter.serves(DIGEST, manifest(OLD))
        for reference in (DIGEST, "v1"):
            key_deleter.on_delete(reference, UNSUPPORTED)
        for data in (OLD, NEW):
            key_deleter.holds(v1=data)
            with pytest.raises(DeletionRefused, match="enter the SK"):
                key_deleter.manifest(DIGEST)
        with pytest.raises(DeletionRefused, match="enter the SK"):
            key_deleter.tag("v1")

    @pytest.mark.parametrize(
        ("then", "kind"), [(manifest(OLD), DeletionRefused), (NOT_SERVED, ManifestUnknown)], ids=["served", "missing"]
    )
    def test_the_only_tag_is_deleted_meanwhile(
        self, key_deleter: Deleter, then: Response, kind: type[AdapterError]
    ) -> None:
        """A digest that is still served is not deleted."""
        key_deleter.holds(v1=OLD)
        key_deleter.serves(DIGEST, manifest(OLD), then)
        key_deleter.serves("v1", manifest(OLD), NOT_SERVED)
        key_deleter.on_delete(DIGEST, UNSUPPORTED)
        with pytest.raises(kind):
            key_deleter.manifest(DIGEST)

    def test_a_tag_that_moves_meanwhile_stays(self, key_deleter: Deleter) -> None:
        key_deleter.holds(v1=OLD)
        key_deleter.serves(DIGEST, manifest(OLD))
        key_deleter.on_delete(DIGEST, UNSUPPORTED)
        key_deleter.serves("v1", manifest(OLD), manifest(NEW))
        with pytest.raises(DeletionRefused, match="does not delete"):
            key_deleter.manifest(DIGEST)
        key_deleter.serves("v1", manifest(OLD), manifest(OLD), manifest(NEW))
        with pytest.raises(DeletionRefused, match="changed during the deletion"):
            key_deleter.tag("v1")
        assert key_deleter.deleted == [DIGEST]

    @pytest.mark.parametrize(
        ("third", "v1_is_missing", "deleted"),
        [
            ([manifest(OLD)], False, ["v1", "v3"]),
            # The registry deletes all tags with the first one.
            ([manifest(OLD), NOT_SERVED], False, ["v1"]),
            # Another client deletes v1 meanwhile.
            ([manifest(OLD)], True, ["v1", "v3"]),
        ],
    )
    def test_tags_are_deleted_if_the_registry_deletes_no_digest(
        self, key_deleter: Deleter, third: list[Response], v1_is_missing: bool, deleted: list[str]
    ) -> None:
        key_deleter.holds(v1=OLD, v2=NEW, v3=OLD)
        key_deleter.on_delete(DIGEST, UNSUPPORTED)
        key_deleter.serves(DIGEST, manifest(OLD))
        key_deleter.on_delete("v1", 404 if v1_is_missing else 202)
        key_deleter.on_delete("v3", 202)
        if v1_is_missing:
            key_deleter.serves("v1", manifest(OLD), manifest(OLD), NOT_SERVED)
        key_deleter.serves("v3", *third)
        key_deleter.manifest(DIGEST)
        assert key_deleter.deleted == [DIGEST, *deleted]

    def test_a_tag_that_shares_its_manifest_or_is_missing_raises(self, key_deleter: Deleter) -> None:
        """Some registries would delete the manifest, and so the other tag."""
        key_deleter.holds(v1=OLD, v2=OLD)
        with pytest.raises(DeletionRefused, match=r"shares its manifest with v2.*enter the SK"):
            key_deleter.tag("v1")
        key_deleter.serves("v1", NOT_SERVED)
        with pytest.raises(ManifestUnknown, match="v1"):
            key_deleter.tag("v1")
        assert key_deleter.deleted == []


class TestTagOf:
    @pytest.mark.parametrize(
        ("reference", "data"), [("v1", OLD), (DIGEST, OLD), ("v3", OLD), (ORIGINAL, LIST), (digest_of(LIST), LIST)]
    )
    def test_a_tag_of_an_artifact_by_any_reference_is_deleted(
        self, deleter: Deleter, reference: str, data: bytes
    ) -> None:
        deleter.holds(v1=data, v2=NEW, v3=data)
        deleter.tag_of(reference, "v1")
        assert deleter.deleted == ["v1"]

    @pytest.mark.parametrize("reference", ["v1", DIGEST, ORIGINAL, "missing"])
    def test_a_tag_of_another_artifact_stays(self, deleter: Deleter, reference: str) -> None:
        deleter.holds(v1=OLD, v2=NEW)
        deleter.serves("missing", NOT_SERVED)
        with pytest.raises(ManifestUnknown, match=f"no artifact {reference} with the tag v2"):
            deleter.tag_of(reference, "v2")
        assert deleter.deleted == []
