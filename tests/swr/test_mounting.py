"""Responses to a request for a mount: only a response about this blob counts as a success."""

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
from tests.swr.scripted import TOKEN_PATH, Swr, error, jwt

DIGEST = digest_of(b"layer")
UPLOADS, BLOB = "/v2/org/target/blobs/uploads/", f"/v2/org/target/blobs/{DIGEST}"
OTHER = digest_of(b"another")


class Mounter:
    """Mounts a blob of org/deep/source in org/target; `swr` returns `answer`."""

    def __init__(self, swr: Swr, client: SwrClient, credentials: Credentials) -> None:
        swr.grant()
        swr.answer("GET", "/v2/manage/namespaces", {"namespaces": [{"name": "org", "id": 1, "auth": 7}]})
        self.swr = swr
        self.client = client
        self.target = Repository(credentials, RepositoryName("org", "target"))

    def mount(self, answer: Response | None = None) -> Mounting:
        if answer is not None:
            self.swr.answer("POST", UPLOADS, answer)
        return self.client.uploads.mount(self.target, DIGEST, RepositoryName("org", "deep/source"))


@pytest.fixture
def mounter(swr: Swr, client: SwrClient, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Mounter:
    for module in ("blob_uploads", "tokens"):
        monkeypatch.setattr(f"adapter.swr.{module}.MOUNT", RetryPolicy(0, MOUNT.statuses, True))
    return Mounter(swr, client, credentials)


def answer(status: int, **headers: str) -> Response:
    return Response(b"", status, {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_mount_requests_one_token_for_both_repositories(mounter: Mounter) -> None:
    for _ in range(3):
        assert mounter.mount(answer(201, Docker_Content_Digest=DIGEST)) == Mounting(True)
    token, post, *_ = mounter.swr.seen
    assert token.args.getlist("scope") == ["repository:org/target:pull,push", "repository:org/deep/source:pull"]
    assert post.args.to_dict() == {"mount": DIGEST, "from": "org/deep/source"}
    assert post.headers["Content-Length"] == "0"
    assert mounter.swr.count("GET", TOKEN_PATH) == 1


@pytest.mark.parametrize(
    "response",
    [
        answer(201, Location=BLOB),
        answer(201, Location=f"https://elsewhere.example{BLOB.replace(':', '%3A')}?x=1"),
        answer(200, Docker_Content_Digest=DIGEST),
        answer(204, Docker_Content_Digest=DIGEST, Location="/v2/"),
    ],
)
def test_a_response_with_the_digest_is_a_success(mounter: Mounter, response: Response) -> None:
    assert mounter.mount(response).done
    assert mounter.swr.count("HEAD", BLOB) == 0


@pytest.mark.parametrize(
    "response",
    [
        answer(201),
        answer(201, Docker_Content_Digest=OTHER),
        answer(201, Docker_Content_Digest=OTHER, Location=BLOB),
        answer(201, Location=f"{UPLOADS}17"),
        answer(204),
    ],
)
def test_a_success_without_the_digest_is_looked_up(mounter: Mounter, response: Response) -> None:
    for head, done in ((answer(200, Content_Length="5"), True), (404, False)):
        mounter.swr.answer("HEAD", BLOB, head)
        assert mounter.mount(response) == Mounting(done)
    assert mounter.swr.count("HEAD", BLOB) == 2


def test_a_started_upload_is_returned(mounter: Mounter) -> None:
    found = mounter.mount(answer(202, Location=f"{UPLOADS}17?_state=x"))
    assert found == Mounting(False, f"{UPLOADS}17?_state=x")
    assert "_state" not in repr(found)


@pytest.mark.parametrize(
    "response",
    [
        answer(202),
        answer(202, Location="https://elsewhere.example/up"),
        *(answer(status) for status in (301, 307, 400, 401, 404, 405, 409, 415, 500, 501)),
        error(403, "you do not have the permission"),
    ],
    ids=lambda response: str(response.status_code),
)
def test_a_rejected_mount_is_no_error(mounter: Mounter, response: Response) -> None:
    assert mounter.mount(response) == Mounting(False)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(429), Throttled),
        (answer(503), Unavailable),
        (error(403, "Not allow to login, upload or download image"), AccountBlocked),
    ],
    ids=lambda value: str(getattr(value, "status_code", "")),
)
def test_an_error_that_is_not_about_the_mount_raises(
    mounter: Mounter, response: Response, kind: type[AdapterError]
) -> None:
    with pytest.raises(kind):
        mounter.mount(response)


@pytest.mark.parametrize(
    "response",
    [
        *(answer(status) for status in (400, 404, 500, 501)),
        error(403, "no"),
        *(error(401, words) for words in ("you do not have the permission", "Image organization does not exist")),
        error(401, "Authenticate Error"),
    ],
)
def test_a_token_for_the_target_is_requested_if_two_scopes_are_rejected(mounter: Mounter, response: Response) -> None:
    """It is unknown whether SWR's token endpoint supports several scopes (`docs/facts/swr.md §5`)."""

    def token(request: Request) -> Any:
        return response if len(request.args.getlist("scope")) > 1 else Response(json.dumps({"token": jwt()}))

    mounter.swr.answer("GET", TOKEN_PATH, token)
    assert mounter.mount(answer(202, Location=f"{UPLOADS}17")).location == f"{UPLOADS}17"
    count = mounter.swr.count("GET", TOKEN_PATH)
    mounter.mount()
    assert mounter.swr.count("GET", TOKEN_PATH) == count
    # The rejection does not count as one of the credentials.
    mounter.client.tokens.login(mounter.target.credentials)


def test_rejected_credentials_stay_rejected(mounter: Mounter) -> None:
    mounter.swr.answer("GET", TOKEN_PATH, error(401, "Authenticate Error"))
    with pytest.raises(CredentialsRefused):
        mounter.mount()
    count = len(mounter.swr.seen)
    with pytest.raises(CredentialsRefused):
        mounter.mount()
    assert len(mounter.swr.seen) == count
