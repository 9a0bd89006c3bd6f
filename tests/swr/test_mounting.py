"""What SWR may answer to a request for a mount: believed is only what it says of this very blob."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug import Request, Response

from adapter.credentials import Credentials
from adapter.errors import AccountBlocked, AdapterError, CredentialsRefused, Throttled, Unavailable
from adapter.references import RepositoryName, digest_of
from adapter.swr.blob_uploads import Mounting
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.swr.retry import MOUNT, RetryPolicy
from tests.swr.scripted import TOKEN_PATH, Swr, jwt

TARGET, SOURCE = RepositoryName("org", "target"), RepositoryName("org", "deep/source")
DIGEST = digest_of(b"layer")
UPLOADS, BLOB = f"/v2/{TARGET}/blobs/uploads/", f"/v2/{TARGET}/blobs/{DIGEST}"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("blob_uploads", "tokens"):
        monkeypatch.setattr(f"adapter.swr.{module}.MOUNT", RetryPolicy(0, MOUNT.statuses, True))


def answer(status: int, **headers: str) -> Response:
    return Response(b"", status, {name.replace("_", "-"): value for name, value in headers.items()})


def denied(message: str, status: int = 401) -> Response:
    return Response(json.dumps({"errors": [{"code": "DENIED", "message": message}]}), status)


def mounted(client: SwrClient, credentials: Credentials) -> Mounting:
    return client.uploads.mount(Repository(credentials, TARGET), DIGEST, SOURCE)


def test_what_is_asked(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, answer(201, Docker_Content_Digest=DIGEST))
    assert mounted(client, credentials) == Mounting(True)
    token, post = swr.seen
    assert token.args.getlist("scope") == ["repository:org/target:pull,push", "repository:org/deep/source:pull"]
    assert post.args.to_dict() == {"mount": DIGEST, "from": "org/deep/source"}
    assert post.headers["Content-Length"] == "0"


def test_the_token_is_kept(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, answer(201, Docker_Content_Digest=DIGEST))
    for _ in range(3):
        mounted(client, credentials)
    assert swr.count("GET", TOKEN_PATH) == 1


@pytest.mark.parametrize(
    "said",
    [
        answer(201, Location=f"/v2/{TARGET}/blobs/{DIGEST}"),
        answer(201, Location=f"https://elsewhere.example/v2/{TARGET}/blobs/{DIGEST.replace(':', '%3A')}?x=1"),
        answer(200, Docker_Content_Digest=DIGEST),
        answer(204, Docker_Content_Digest=DIGEST, Location="/v2/"),
    ],
)
def test_answers_that_name_the_blob(swr: Swr, client: SwrClient, credentials: Credentials, said: Response) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, said)
    assert mounted(client, credentials).done
    assert swr.count("HEAD", BLOB) == 0


@pytest.mark.parametrize(("head", "done"), [(answer(200, Content_Length="5"), True), (404, False)])
@pytest.mark.parametrize(
    "said",
    [
        answer(201),
        answer(201, Docker_Content_Digest=digest_of(b"another")),
        answer(201, Docker_Content_Digest=digest_of(b"another"), Location=f"/v2/{TARGET}/blobs/{DIGEST}"),
        answer(201, Location=f"/v2/{TARGET}/blobs/uploads/17"),
        answer(204),
    ],
)
def test_others_are_looked_after(
    swr: Swr, client: SwrClient, credentials: Credentials, said: Response, head: Response | int, done: bool
) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, said)
    swr.answer("HEAD", BLOB, head)
    assert mounted(client, credentials) == Mounting(done)
    assert swr.count("HEAD", BLOB) == 1


def test_an_upload_instead(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, answer(202, Location=f"{UPLOADS}17?_state=x"))
    found = mounted(client, credentials)
    assert found == Mounting(False, f"{UPLOADS}17?_state=x")
    assert "_state" not in repr(found)


@pytest.mark.parametrize(
    "said",
    [
        answer(202),
        answer(202, Location="https://elsewhere.example/up"),
        *(answer(status) for status in (301, 307, 400, 404, 405, 409, 415, 500, 501)),
        denied("you do not have the permission", 403),
    ],
    ids=lambda said: str(said.status_code),
)
def test_refusals_of_the_mount_are_no_errors(
    swr: Swr, client: SwrClient, credentials: Credentials, said: Response
) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, said)
    swr.answer("GET", "/v2/manage/namespaces", {"namespaces": [{"name": "org", "id": 1, "auth": 7}]})
    assert mounted(client, credentials) == Mounting(False)


def test_a_token_that_does_not_reach_the_source(swr: Swr, client: SwrClient, credentials: Credentials) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, answer(401))
    swr.answer("GET", "/v2/manage/namespaces", {"namespaces": [{"name": "org", "id": 1, "auth": 7}]})
    assert mounted(client, credentials) == Mounting(False)
    assert swr.count("POST", UPLOADS) == 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (answer(429), Throttled),
        (answer(503), Unavailable),
        (denied("Not allow to login, upload or download image", 403), AccountBlocked),
    ],
    ids=lambda value: str(getattr(value, "status_code", "")),
)
def test_what_is_no_answer_to_the_question(
    swr: Swr, client: SwrClient, credentials: Credentials, said: Response, kind: type[AdapterError]
) -> None:
    swr.grant()
    swr.answer("POST", UPLOADS, said)
    with pytest.raises(kind):
        mounted(client, credentials)


class TestScopes:
    """SWR's token endpoint is only known to take one scope (`docs/facts/swr.md §5`)."""

    @staticmethod
    def one_only(refusal: Response) -> Any:
        def said(request: Request) -> Response:
            if len(request.args.getlist("scope")) > 1:
                return refusal
            return Response(json.dumps({"token": jwt()}))

        return said

    @pytest.mark.parametrize(
        "refusal",
        [
            answer(400),
            denied("you do not have the permission"),
            denied("Authenticate Error"),
            denied("Image organization does not exist"),
            denied("no", 403),
            *(answer(status) for status in (404, 500, 501)),
        ],
        ids=["400", "denied", "as if the credentials were wrong", "organization", "403", "404", "500", "501"],
    )
    def test_then_one_for_the_target(
        self, swr: Swr, client: SwrClient, credentials: Credentials, refusal: Response
    ) -> None:
        swr.answer("GET", TOKEN_PATH, self.one_only(refusal))
        swr.answer("POST", UPLOADS, answer(202, Location=f"{UPLOADS}17"))
        assert mounted(client, credentials).location == f"{UPLOADS}17"
        asked = swr.count("GET", TOKEN_PATH)
        mounted(client, credentials)
        assert swr.count("GET", TOKEN_PATH) == asked
        # Nothing of it is held against the credentials.
        client.tokens.login(credentials)

    def test_wrong_credentials_stay_wrong(self, swr: Swr, client: SwrClient, credentials: Credentials) -> None:
        swr.answer("GET", TOKEN_PATH, denied("Authenticate Error"))
        with pytest.raises(CredentialsRefused):
            mounted(client, credentials)
        asked = len(swr.seen)
        with pytest.raises(CredentialsRefused):
            mounted(client, credentials)
        assert len(swr.seen) == asked
