"""Deletions before an SWR that does, tag by tag, what no SWR does on demand; the usual ones are in tests/contract."""

from __future__ import annotations

import json

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials
from adapter.errors import (
    AccountBlocked,
    DeletionRefused,
    Denied,
    ManifestUnknown,
    RepositoryUnknown,
    Unavailable,
)
from adapter.references import RepositoryName, digest_of
from adapter.swr import deletion as module
from adapter.swr.annotations import SOURCE_DIGEST, with_content_digest
from adapter.swr.client import SwrClient
from adapter.swr.deletion import Deletion
from adapter.swr.media_types import DOCKER_LIST, DOCKER_MANIFEST
from adapter.swr.repository import Repository
from adapter.swr.tokens import ALL, PULL, PUSH
from tests.swr.scripted import TOKEN_PATH, Swr, absence, jwt
from tests.swr.test_management import NAMESPACES, entry

REPOSITORY = RepositoryName("org", "repo")
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
BY_DIGEST = f"/v2/org/repo/manifests/{DIGEST}"


NO_IMAGE = Response(json.dumps([{"errorCode": "SVCSTG.SWR.4040113", "errorMessage": "The image does not exist"}]), 404)
NO_TAG = Response(json.dumps([{"errorCode": "SVCSTG.SWR.4040048", "errorMessage": "The tag does not exist"}]), 404)


@pytest.fixture(autouse=True)
def _granted(swr: Swr) -> None:
    swr.grant()
    swr.answer("GET", NAMESPACES, {"namespaces": [entry("org")]})


@pytest.fixture
def deletion(client: SwrClient) -> Deletion:
    return client.deletion


def holds(swr: Swr, *, digests: bool = True, manifests: bool = True, **tags: bytes) -> None:
    """SWR lists these tags on both of its wires, and deletes each through the management API."""
    rows = [
        {"Tag": name, "tag_type": 0, "size": 1}
        | ({"digest": digest_of(data)} if digests else {})
        | ({"manifest": data.decode()} if digests and manifests else {})
        for name, data in tags.items()
    ]
    swr.answer("GET", MANAGED, Response(json.dumps(rows), headers={"Content-Range": f"0-{len(rows)}/{len(rows)}"}))
    swr.answer("GET", "/v2/org/repo/tags/list", {"name": "org/repo", "tags": list(tags)})
    for name, data in tags.items():
        carries(swr, name, described(data))
        swr.answer("DELETE", f"{MANAGED}/{name}", 204)


def carries(swr: Swr, reference: str, *answers: Response | int) -> None:
    """What SWR says of a manifest, asked for its head or all of it: one answer after the other, the last one stays."""
    waiting = [each if isinstance(each, Response) else absence() for each in answers]

    def answer(request: Request) -> Response:
        said = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Response(said.get_data(), said.status_code, said.headers.to_wsgi_list())

    for method in ("HEAD", "GET"):
        swr.answer(method, f"/v2/org/repo/manifests/{reference}", answer)


def described(data: bytes) -> Response:
    return Response(data, headers={"Docker-Content-Digest": digest_of(data), "Content-Type": DOCKER_MANIFEST})


def refusal(status: int, code: str = "UNSUPPORTED", message: str = "The operation is unsupported.") -> Response:
    return Response(json.dumps({"errors": [{"code": code, "message": message}]}), status)


def deleted(swr: Swr) -> list[str]:
    return [request.path.rpartition("/")[2] for request in swr.seen if request.method == "DELETE"]


class TestByDigest:
    def test_the_tags_that_carry_it_and_no_other(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, v1=OLD, v2=NEW, v3=OLD)
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == ["v1", "v3"]

    def test_a_tag_that_moved_since_the_list_stays(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, v1=OLD, v2=OLD)
        carries(swr, "v1", described(NEW))
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == ["v2"]

    def test_one_that_moves_during_the_run_stays_too(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, v1=OLD, v2=OLD)

        def move(_: Request) -> Response:
            carries(swr, "v2", described(NEW))
            return Response(status=204)

        swr.answer("DELETE", f"{MANAGED}/v1", move)
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == ["v1"]

    def test_when_all_have_moved_the_manifest_is_untagged(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, v1=OLD)
        carries(swr, "v1", described(NEW))
        swr.answer("DELETE", BY_DIGEST, 202)
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST]

    def test_a_tag_that_is_gone_already_is_no_error(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, v1=OLD, v2=OLD)
        carries(swr, "v1", 404)
        body = [{"errorCode": "SVCSTG.SWR.4041056", "errorMessage": "The tag does not exist"}]
        swr.answer("DELETE", f"{MANAGED}/v2", Response(json.dumps(body), 404))
        carries(swr, "v2", described(OLD), 404)
        swr.answer("DELETE", BY_DIGEST, refusal(404, "MANIFEST_UNKNOWN"))
        carries(swr, DIGEST, 404)
        with pytest.raises(ManifestUnknown):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == ["v2", DIGEST]

    def test_a_list_without_digests_is_made_good(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, digests=False, v1=OLD, v2=NEW, v3=OLD)
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == ["v1", "v3"]

    def test_but_not_without_end(
        self, swr: Swr, deletion: Deletion, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_LOOKS", 2)
        holds(swr, digests=False, v1=OLD, v2=NEW, v3=OLD)
        with pytest.raises(DeletionRefused, match=r"3.*at most 2.*console"):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == []
        assert not [request for request in swr.seen if request.method == "HEAD"]

    @pytest.mark.parametrize("status", [400, 404, 405, 406, 415, 501])
    def test_untagged_and_refused(self, swr: Swr, deletion: Deletion, credentials: Credentials, status: int) -> None:
        holds(swr, v2=NEW)
        swr.answer("DELETE", BY_DIGEST, refusal(status))
        carries(swr, DIGEST, described(OLD))
        with pytest.raises(DeletionRefused, match=f"no tag of org/repo carries {DIGEST}.*nothing was deleted"):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST]

    @pytest.mark.parametrize("status", [400, 404, 405])
    def test_gone(self, swr: Swr, deletion: Deletion, credentials: Credentials, status: int) -> None:
        holds(swr, v2=NEW)
        swr.answer("DELETE", BY_DIGEST, refusal(status))
        carries(swr, DIGEST, 404)
        with pytest.raises(ManifestUnknown, match=DIGEST):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)

    def test_a_missing_repository(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        swr.answer("GET", MANAGED, NO_IMAGE)
        swr.answer("DELETE", BY_DIGEST, refusal(404, "NAME_UNKNOWN"))
        carries(swr, DIGEST, 404)
        with pytest.raises(RepositoryUnknown):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)

    @pytest.mark.parametrize("status", [404, 405])
    def test_a_digest_that_the_registry_serves_is_not_gone(
        self, swr: Swr, deletion: Deletion, credentials: Credentials, status: int
    ) -> None:
        """Whatever the management API says: Harbor takes a 404 for done."""
        swr.answer("GET", MANAGED, NO_IMAGE)
        swr.answer("DELETE", BY_DIGEST, refusal(status))
        carries(swr, DIGEST, described(OLD))
        with pytest.raises(DeletionRefused, match="nothing was deleted"):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)

    def test_a_tag_that_the_registry_serves_is_not_gone(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, v1=OLD, v2=OLD)
        for answer in (NO_TAG, NO_IMAGE):
            swr.answer("DELETE", f"{MANAGED}/v2", answer)
            with pytest.raises(DeletionRefused, match=r"does not find the tag v2 .* although SWR's registry serves it"):
                deletion.tag(Repository(credentials, REPOSITORY), "v2")
        with pytest.raises(DeletionRefused, match="does not find the tag v2"):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        carries(swr, "v2", 404)
        with pytest.raises(RepositoryUnknown):
            deletion.tag(Repository(credentials, REPOSITORY), "v2")

    def test_a_failure_is_no_refusal(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr)
        swr.answer("DELETE", BY_DIGEST, 500)
        with pytest.raises(Unavailable):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST]

    def test_what_swr_did_not_look_at_is_asked_again(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr)
        swr.answer("DELETE", BY_DIGEST, 503, 202)
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST, DIGEST]


class TestByTheDigestOfAnOriginal:
    """SWR has translations, `LIST` of `ORIGINAL`, and knows nothing of the original itself."""

    @pytest.fixture(autouse=True)
    def _unknown(self, swr: Swr) -> None:
        path = f"/v2/org/repo/manifests/{ORIGINAL}"
        swr.answer("DELETE", path, refusal(404, "MANIFEST_UNKNOWN"))
        carries(swr, ORIGINAL, 404)

    def test_the_tags_that_stand_for_it(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, v1=LIST, v2=NEW, v3=LIST)
        deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == ["v1", "v3"]

    def test_and_by_the_digest_that_swr_has(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, v1=LIST, v2=NEW)
        deletion.manifest(Repository(credentials, REPOSITORY), digest_of(LIST))
        assert deleted(swr) == ["v1"]

    def test_a_tag_that_moved_since_the_list_stays(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, v1=LIST, v2=LIST)
        carries(swr, "v1", described(NEW))
        deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == ["v2"]

    def test_a_list_without_digests_is_made_good(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, digests=False, v1=LIST, v2=NEW)
        deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == ["v1"]

    def test_a_list_without_documents_is_made_good(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        holds(swr, manifests=False, v1=LIST, v2=NEW)
        deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == ["v1"]

    def test_one_tag_without_a_digest_hides_no_other(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        """`v2` is listed without its document, so the list does not tell what it stands for."""
        holds(swr, v1=NEW, v2=LIST, v3=LIST)
        rows = [
            {"Tag": "v1", "manifest": NEW.decode()},
            {"Tag": "v2", "digest": digest_of(LIST)},
            {"Tag": "v3", "digest": digest_of(LIST), "manifest": LIST.decode()},
        ]
        swr.answer("GET", MANAGED, Response(json.dumps(rows)), Response("[]"))
        deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == ["v2", "v3"]

    def test_but_where_swr_shows_them_none_is_asked_for(
        self, swr: Swr, deletion: Deletion, credentials: Credentials
    ) -> None:
        plain = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": {}, "layers": []}).encode()
        holds(swr, v1=plain, v2=plain)
        with pytest.raises(ManifestUnknown):
            deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert not [request for request in swr.seen if request.path.endswith(("/v1", "/v2"))]

    def test_when_nothing_stands_for_it(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, v1=NEW)
        with pytest.raises(ManifestUnknown):
            deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == [ORIGINAL]

    def test_one_that_was_changed_since_stays(self, swr: Swr, deletion: Deletion, credentials: Credentials) -> None:
        holds(swr, v1=LIST.replace(b'"manifests":[]', b'"manifests":[{}]'))
        with pytest.raises(ManifestUnknown):
            deletion.manifest(Repository(credentials, REPOSITORY), ORIGINAL)
        assert deleted(swr) == [ORIGINAL]

    def test_with_the_login_key(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v1=LIST, v2=NEW, v3=LIST)
        for tag in ("v1", "v3"):
            swr.answer("DELETE", f"/v2/org/repo/manifests/{tag}", 202)
        deletion.manifest(Repository(key_only, REPOSITORY), ORIGINAL)
        assert deleted(swr) == [ORIGINAL, "v1", "v3"]

    def test_with_the_login_key_and_nothing(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v2=NEW)
        with pytest.raises(ManifestUnknown, match=ORIGINAL):
            deletion.manifest(Repository(key_only, REPOSITORY), ORIGINAL)
        assert deleted(swr) == [ORIGINAL]

    @pytest.mark.parametrize("reference", [ORIGINAL, digest_of(LIST), "v3"])
    def test_a_tag_of_it(self, swr: Swr, deletion: Deletion, credentials: Credentials, reference: str) -> None:
        holds(swr, v1=LIST, v2=NEW, v3=LIST)
        deletion.tag_of(Repository(credentials, REPOSITORY), reference, "v1")
        with pytest.raises(ManifestUnknown, match="no artifact"):
            deletion.tag_of(Repository(credentials, REPOSITORY), reference, "v2")
        assert deleted(swr) == ["v1"]

    def test_where_nothing_is_translated_it_is_no_digest_of_anything(
        self, swr: Swr, client: SwrClient, credentials: Credentials, key_only: Credentials
    ) -> None:
        holds(swr, v1=LIST)
        off = Deletion(client.registry, client.catalog, client.management, client.tag_lister, translated=False)
        for who in (credentials, key_only):
            with pytest.raises(ManifestUnknown):
                off.manifest(Repository(who, REPOSITORY), ORIGINAL)
        with pytest.raises(ManifestUnknown):
            off.tag_of(Repository(credentials, REPOSITORY), ORIGINAL, "v1")
        assert deleted(swr) == [ORIGINAL, ORIGINAL]
        off.tag_of(Repository(credentials, REPOSITORY), digest_of(LIST), "v1")
        carries(swr, "v0", 404)
        with pytest.raises(ManifestUnknown):
            off.tag_of(Repository(credentials, REPOSITORY), digest_of(LIST), "v0")


class TestTokens:
    """Which actions SWR wants for a deletion on /v2 is not known."""

    @pytest.fixture
    def asked(self, swr: Swr) -> list[str]:
        """The actions of each token that was asked for."""
        actions: list[str] = []

        def issue(request: Request) -> Response:
            actions.append(request.args.get("scope", "").rpartition(":")[2])
            return Response(json.dumps({"token": jwt() + actions[-1].replace(",", "-").replace("*", "all")}))

        swr.answer("GET", TOKEN_PATH, issue)
        return actions

    def wants(self, swr: Swr, actions: str, status: int) -> None:
        def delete(request: Request) -> Response:
            granted = request.headers["Authorization"].endswith(actions)
            return Response(status=202) if granted else refusal(status, "DENIED", "you do not have the permission")

        swr.answer("DELETE", BY_DIGEST, delete)

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("actions", ["pull-push", "all"])
    def test_the_ones_it_wants(
        self, swr: Swr, deletion: Deletion, credentials: Credentials, asked: list[str], actions: str, status: int
    ) -> None:
        holds(swr)
        self.wants(swr, actions, status)
        deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert "pull,push" in asked
        assert ("*" in asked) == (actions == "all")

    def test_neither_is_denied(self, swr: Swr, deletion: Deletion, credentials: Credentials, asked: list[str]) -> None:
        holds(swr)
        self.wants(swr, "none", 403)
        with pytest.raises(Denied, match="no access to org/repo"):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)

    def test_one_for_pushing_does_not_serve_for_all(
        self, client: SwrClient, credentials: Credentials, asked: list[str]
    ) -> None:
        for actions in (PUSH, ALL, ALL, PULL):
            client.tokens.bearer(Repository(credentials, REPOSITORY), actions)
        assert asked == [PUSH, ALL]

    def test_a_blocked_account_asks_no_more(
        self, swr: Swr, deletion: Deletion, credentials: Credentials, asked: list[str]
    ) -> None:
        holds(swr)
        swr.answer("DELETE", BY_DIGEST, refusal(403, "DENIED", "Not allow to login, upload or download image"))
        with pytest.raises(AccountBlocked):
            deletion.manifest(Repository(credentials, REPOSITORY), DIGEST)
        assert len(deleted(swr)) == 1


class TestWithTheLoginKey:
    def test_a_digest_in_one_request(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v1=OLD)
        swr.answer("DELETE", BY_DIGEST, 202)
        deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST]

    @pytest.mark.parametrize("then", [202, 404], ids=["each by itself", "all with the first"])
    def test_where_only_tags_can_be_deleted(
        self, swr: Swr, deletion: Deletion, key_only: Credentials, then: int
    ) -> None:
        holds(swr, v1=OLD, v2=NEW, v3=OLD)
        swr.answer("DELETE", BY_DIGEST, refusal(405))
        carries(swr, DIGEST, described(OLD))
        swr.answer("DELETE", "/v2/org/repo/manifests/v1", 202)
        swr.answer("DELETE", "/v2/org/repo/manifests/v3", then)
        if then == 404:
            carries(swr, "v3", described(OLD), 404)
        deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)
        assert deleted(swr) == ([DIGEST, "v1", "v3"] if then == 202 else [DIGEST, "v1"])

    def test_where_nothing_can(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v1=OLD)
        carries(swr, DIGEST, described(OLD))
        swr.answer("DELETE", BY_DIGEST, refusal(405))
        swr.answer("DELETE", "/v2/org/repo/manifests/v1", refusal(405))
        with pytest.raises(DeletionRefused, match="enter the SK"):
            deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)
        with pytest.raises(DeletionRefused, match="enter the SK"):
            deletion.tag(Repository(key_only, REPOSITORY), "v1")

    @pytest.mark.parametrize("served", [True, False])
    def test_the_first_of_the_tags_gone_meanwhile(
        self, swr: Swr, deletion: Deletion, key_only: Credentials, served: bool
    ) -> None:
        """What is served by its digest is not gone with its tags."""
        holds(swr, v1=OLD)
        carries(swr, DIGEST, described(OLD), described(OLD) if served else 404)
        carries(swr, "v1", described(OLD), 404)
        swr.answer("DELETE", BY_DIGEST, refusal(405))
        swr.answer("DELETE", "/v2/org/repo/manifests/v1", 404)
        with pytest.raises(DeletionRefused if served else ManifestUnknown):
            deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)

    def test_the_first_of_several_gone_meanwhile(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v1=OLD, v3=OLD)
        carries(swr, DIGEST, described(OLD))
        carries(swr, "v1", described(OLD), 404)
        swr.answer("DELETE", BY_DIGEST, refusal(405))
        swr.answer("DELETE", "/v2/org/repo/manifests/v3", 202)
        deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST, "v3"]

    def test_a_tag_that_was_moved_meanwhile_is_left_alone(
        self, swr: Swr, deletion: Deletion, key_only: Credentials
    ) -> None:
        holds(swr, v1=OLD)
        carries(swr, DIGEST, described(OLD))
        swr.answer("DELETE", BY_DIGEST, refusal(405))
        carries(swr, "v1", described(OLD), described(NEW))
        with pytest.raises(DeletionRefused, match="does not delete"):
            deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)
        carries(swr, "v1", described(OLD), described(OLD), described(NEW))
        with pytest.raises(DeletionRefused, match="was moved meanwhile"):
            deletion.tag(Repository(key_only, REPOSITORY), "v1")
        assert deleted(swr) == [DIGEST]

    def test_untagged_and_refused(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v2=NEW)
        carries(swr, DIGEST, described(OLD))
        swr.answer("DELETE", BY_DIGEST, refusal(405))
        with pytest.raises(DeletionRefused, match="enter the SK"):
            deletion.manifest(Repository(key_only, REPOSITORY), DIGEST)
        assert deleted(swr) == [DIGEST]

    def test_a_tag_of_its_own(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        holds(swr, v1=OLD, v2=NEW)
        swr.answer("DELETE", "/v2/org/repo/manifests/v1", 202)
        deletion.tag(Repository(key_only, REPOSITORY), "v1")
        assert deleted(swr) == ["v1"]

    def test_one_of_two_tags_is_not_risked(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        """To some registries deleting by tag means the manifest: the other tag would go along."""
        holds(swr, v1=OLD, v2=OLD)
        with pytest.raises(DeletionRefused, match=r"shares its manifest with v2.*enter the SK"):
            deletion.tag(Repository(key_only, REPOSITORY), "v1")
        assert deleted(swr) == []

    def test_a_missing_tag(self, swr: Swr, deletion: Deletion, key_only: Credentials) -> None:
        carries(swr, "v1", 404)
        with pytest.raises(ManifestUnknown, match="v1"):
            deletion.tag(Repository(key_only, REPOSITORY), "v1")

    def test_too_many_tags_to_ask(
        self, swr: Swr, deletion: Deletion, key_only: Credentials, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_LOOKS", 2)
        holds(swr, v1=OLD, v2=NEW, v3=OLD)
        with pytest.raises(DeletionRefused, match="enter the SK"):
            deletion.tag(Repository(key_only, REPOSITORY), "v1")
        assert deleted(swr) == []


class TestTagOf:
    @pytest.mark.parametrize("reference", ["v1", DIGEST, "v3"])
    def test_an_artifact_by_any_of_its_names(
        self, swr: Swr, deletion: Deletion, credentials: Credentials, reference: str
    ) -> None:
        holds(swr, v1=OLD, v2=NEW, v3=OLD)
        deletion.tag_of(Repository(credentials, REPOSITORY), reference, "v1")
        assert deleted(swr) == ["v1"]

    @pytest.mark.parametrize("reference", ["v2", digest_of(NEW), "missing"])
    def test_not_a_tag_of_another_one(
        self, swr: Swr, deletion: Deletion, credentials: Credentials, reference: str
    ) -> None:
        holds(swr, v1=OLD, v2=NEW)
        carries(swr, "missing", 404)
        with pytest.raises(ManifestUnknown, match=f"no artifact {reference} with the tag v1"):
            deletion.tag_of(Repository(credentials, REPOSITORY), reference, "v1")
        assert deleted(swr) == []
