from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.credentials import parse_credentials
from adapter.errors import Unexpected, UploadUnknown
from adapter.references import RepositoryName
from adapter.swr.repository import Repository
from adapter.transfer import session_token
from adapter.transfer.session_token import sign_session, verify_session
from adapter.transfer.upload_session import UploadSession
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY

CREDENTIALS = parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])
OTHER = parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])
NAME = RepositoryName("org", "a/b")
REPOSITORY = Repository(CREDENTIALS, NAME)
SESSION = UploadSession(REPOSITORY, "/up?a=b", 100, "0d9f8a52-6f0e-4a8e-9a5e-2f6d1c7b3e41")
DOCUMENT: dict[str, object] = {"r": "org/a/b", "l": "/up?a=b", "o": 100, "i": SESSION.id, "d": False}
WRONG_TYPES: list[object] = [None, [], {}, 1.5]
WRONG_LOCATIONS = ["", "up", "@evil.example/x", ".example/x", "/a b", "/ä", "http://x/", "/a\n", "\n/a", "/\x7f"]


def payload(**changes: object) -> bytes:
    return json.dumps(list((DOCUMENT | changes).values()), separators=(",", ":")).encode()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token_of(data: bytes) -> str:
    """A token as every version of the adapter makes it, without the adapter's own function."""
    text = base64url(data)
    derived = hmac.new(LOGIN_KEY.encode(), b"harbor-swr-adapter upload location 2", hashlib.sha256).digest()
    return f"{text}.{base64url(hmac.new(derived, text.encode(), hashlib.sha256).digest())}"


def test_form_of_a_token_outlives_an_update() -> None:
    """Two versions side by side verify each other's tokens."""
    assert sign_session(SESSION) == token_of(payload())
    assert verify_session(token_of(payload()), REPOSITORY) == SESSION


@pytest.mark.parametrize(
    "data",
    [
        *(payload(**{key: value}) for key in DOCUMENT for value in WRONG_TYPES),
        *(json.dumps([v for k, v in DOCUMENT.items() if k != key]).encode() for key in DOCUMENT),
        *(payload(o=offset) for offset in (-1, 1 << 62, 10**30, "7")),
        *(payload(r=name) for name in ("org/a", "a/b", "org/a/b/", "")),
        *(payload(d=doubtful) for doubtful in (0, 1, "", "true")),
        *(payload(i=number) for number in ("x\r\ny", "a" * 37, "", "G")),
        *(payload(l=location) for location in [*WRONG_LOCATIONS, "/" * (session_token.MAX_LOCATION_BYTES + 1)]),
        *(b"", b"{", b"{}", b"[]", b"null", b'""', b"\xff", b"[" * 5_000),
    ],
)
def test_signed_document_that_no_adapter_made_is_rejected(data: bytes) -> None:
    """A caller has the key, and can sign anything."""
    with pytest.raises(UploadUnknown) as caught:
        verify_session(token_of(data), REPOSITORY)
    assert caught.value.sentence == "upload not found: start the upload again"


class TestWorkBeforeVerification:
    """A caller can sign anything of any size."""

    @pytest.fixture
    def decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The sizes in bytes of all documents that are parsed."""
        sizes: list[int] = []

        def loads(data: bytes) -> object:
            sizes.append(len(data))
            return json.loads(data)

        monkeypatch.setattr(session_token, "json", SimpleNamespace(loads=loads, dumps=json.dumps))
        monkeypatch.setattr(zlib, "decompress", lambda data: pytest.fail("a token was decompressed"))
        return sizes

    def test_compressed_document_is_not_decompressed(self, decoded: list[int]) -> None:
        bomb = zlib.compress(b"[" + b"{}," * 2_000_000 + b"{}]", 9)
        inflating = token_of(b"." + base64url(bomb).encode())  # as itsdangerous marks compressed payloads
        for token in (inflating, token_of(bomb)):
            with pytest.raises(UploadUnknown):
                verify_session(token, REPOSITORY)
        assert all(size <= session_token.MAX_TOKEN_BYTES for size in decoded)

    @pytest.mark.parametrize(
        ("token", "repository"),
        [
            (token_of(b"[" + b"{}," * 10_000 + b"{}]"), REPOSITORY),
            (sign_session(SESSION), Repository(OTHER, NAME)),
            *((token, REPOSITORY) for token in ("", ".", "a.b", "x" * 5000, "ä", "a%2Fb")),
        ],
    )
    def test_nothing_is_decoded(self, decoded: list[int], token: str, repository: Repository) -> None:
        with pytest.raises(UploadUnknown):
            verify_session(token, repository)
        assert decoded == []


def test_longest_token_fits_into_a_request_line() -> None:
    longest = Repository(CREDENTIALS, RepositoryName("o" * 64, "r" * (255 - 65)))
    location = "/" + "x" * (session_token.MAX_LOCATION_BYTES - 1)
    token = sign_session(UploadSession(longest, location, (1 << 62) - 1))
    assert verify_session(token, longest).location == location
    line = f"PATCH /v2/{longest}/blobs/uploads/{token}?digest=sha512%3A{'a' * 128} HTTP/1.1"
    assert len(line) < 8190


@pytest.mark.parametrize("location", ["/" + "x" * session_token.MAX_LOCATION_BYTES, "/" + "\\" * 4000])
def test_location_that_no_client_could_send_is_rejected(location: str) -> None:
    with pytest.raises(Unexpected, match="an upload location of"):
        sign_session(UploadSession(REPOSITORY, location))


@pytest.mark.parametrize("changes", [{"l": "/"}, {"l": "/!"}, {"l": "/~"}, {"o": 0}, {"o": (1 << 62) - 1}])
def test_limits_of_location_and_offset(changes: dict[str, object]) -> None:
    session = verify_session(token_of(payload(**changes)), REPOSITORY)
    expected = DOCUMENT | changes
    assert (session.location, session.offset) == (expected["l"], expected["o"])


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=2000),
    st.integers(0, 2**60),
    st.booleans(),
)
def test_round_trip(location: str, offset: int, doubtful: bool) -> None:
    session = UploadSession(REPOSITORY, "/up" + location, offset, doubtful=doubtful)
    token = sign_session(session)
    assert verify_session(token, REPOSITORY) == session
    assert re.fullmatch(r"[\w.-]+", token, re.ASCII)
    # Logs mask what looks like a JWT, and would show half of a token.
    assert not token.startswith("eyJ")


def test_secret_key_and_login_key_verify_each_other() -> None:
    by_login_key = Repository(parse_credentials(ACCESS_ID, LOGIN_KEY, ["eu-de"]), NAME)
    assert verify_session(sign_session(SESSION), by_login_key).location == SESSION.location


def test_token_is_worthless_for_another_repository() -> None:
    with pytest.raises(UploadUnknown):
        verify_session(sign_session(SESSION), Repository(CREDENTIALS, RepositoryName("org", "other")))


@given(st.data())
def test_any_change_is_detected(data: st.DataObject) -> None:
    token = sign_session(SESSION)
    at = data.draw(st.integers(0, len(token) - 2))
    changed = token[:at] + data.draw(st.sampled_from("AZaz09-_.")) + token[at + 1 :]
    if changed != token:
        with pytest.raises(UploadUnknown):
            verify_session(changed, REPOSITORY)


def test_range_and_advance() -> None:
    session = UploadSession(REPOSITORY, "/up")
    assert session.range == session.advanced("/up", 1).range == "0-0"
    further = session.advanced("/up2", 100).advanced("/up3", 10)
    assert (further.range, further.location, further.id) == ("0-109", "/up3", session.id)
    doubtful = UploadSession(REPOSITORY, "/up", 5, SESSION.id, doubtful=True)
    assert doubtful.advanced("/up2", 3) == UploadSession(REPOSITORY, "/up2", 8, SESSION.id, doubtful=False)


def test_each_session_has_its_own_id_and_repr_omits_the_location() -> None:
    one, other = UploadSession(REPOSITORY, "/up?_state=x"), UploadSession(REPOSITORY, "/up?_state=x")
    assert one.id != other.id
    assert sign_session(one) != sign_session(other)
    assert "_state" not in repr(one)
