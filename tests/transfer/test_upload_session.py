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
from itsdangerous import URLSafeSerializer

from adapter.credentials import parse_credentials
from adapter.errors import Unexpected, UploadUnknown
from adapter.references import RepositoryName
from adapter.swr.repository import Repository
from adapter.transfer import upload_session
from adapter.transfer.upload_session import UploadSession, seal, unseal
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY

IDENTITY = parse_credentials(ACCESS_ID, SECRET_KEY, ["eu-de"])
OTHER = parse_credentials(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])
NAME = RepositoryName("org", "a/b")
REPOSITORY = Repository(IDENTITY, NAME)


DOCUMENT: dict[str, object] = {
    "r": "org/a/b",
    "l": "/up?a=b",
    "o": 100,
    "i": "0d9f8a52-6f0e-4a8e-9a5e-2f6d1c7b3e41",
    "d": False,
}
NEITHER: list[object] = [None, [], {}, 1.5]
"""Neither text nor a whole number nor a boolean."""


def payload_of(document: dict[str, object]) -> bytes:
    return json.dumps(list(document.values()), separators=(",", ":")).encode()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sealed_by_hand(payload: bytes, key: str = LOGIN_KEY) -> str:
    """What any version of the adapter makes and opens; the adapter's own function is not asked."""
    text = base64url(payload)
    derived = hmac.new(key.encode(), b"harbor-swr-adapter upload location 2", hashlib.sha256).digest()
    return f"{text}.{base64url(hmac.new(derived, text.encode(), hashlib.sha256).digest())}"


def test_the_form_outlives_an_update() -> None:
    """Two versions side by side open each other's locations."""
    upload = UploadSession(REPOSITORY, "/up?a=b", 100, "0d9f8a52-6f0e-4a8e-9a5e-2f6d1c7b3e41")
    by_hand = sealed_by_hand(payload_of(DOCUMENT))
    assert seal(upload) == by_hand
    assert unseal(by_hand, REPOSITORY) == upload


@pytest.mark.parametrize(
    "payload",
    [
        *(payload_of({**DOCUMENT, key: value}) for key in DOCUMENT for value in NEITHER),
        *(payload_of({k: v for k, v in DOCUMENT.items() if k != key}) for key in DOCUMENT),
        *(payload_of({**DOCUMENT, "o": offset}) for offset in (-1, 1 << 62, 10**30, "7")),
        *(payload_of({**DOCUMENT, "r": name}) for name in ("org/a", "a/b", "org/a/b/", "")),
        *(payload_of({**DOCUMENT, "d": doubtful}) for doubtful in (0, 1, "", "true")),
        *(b"", b"{", b"{}", b"[]", b"null", b'""', b"\xff"),
    ],
)
def test_a_document_that_no_adapter_made(payload: bytes) -> None:
    """The caller has the key."""
    with pytest.raises(UploadUnknown) as caught:
        unseal(sealed_by_hand(payload), REPOSITORY)
    assert caught.value.sentence == "upload not found: start the upload again"


def test_a_document_that_is_too_deep() -> None:
    with pytest.raises(UploadUnknown):
        unseal(sealed_by_hand(b"[" * 5_000), REPOSITORY)


class TestWhatTheCallerSigned:
    """Whoever has a secret has a key, so a valid signature proves nothing about the size of what is signed."""

    @pytest.fixture(autouse=True)
    def _decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sizes of all documents that are parsed, in bytes."""
        self.sizes: list[int] = []

        def loads(data: bytes) -> object:
            self.sizes.append(len(data))
            return json.loads(data)

        monkeypatch.setattr(upload_session, "json", SimpleNamespace(loads=loads, dumps=json.dumps))
        monkeypatch.setattr(zlib, "decompress", lambda data: pytest.fail("a token was decompressed"))

    def test_compressed_documents_stay_compressed(self) -> None:
        bomb = zlib.compress(b"[" + b"{}," * 2_000_000 + b"{}]", 9)
        serializer = URLSafeSerializer(
            IDENTITY.login_key,
            salt="harbor-swr-adapter upload location 2",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )
        inflating = serializer.dumps([{}] * 300_000)
        for sealed in (inflating, sealed_by_hand(bomb)):
            with pytest.raises(UploadUnknown):
                unseal(str(sealed), REPOSITORY)
        assert all(size <= upload_session.MAX_TOKEN_BYTES for size in self.sizes)

    def test_a_long_token_is_not_decoded(self) -> None:
        with pytest.raises(UploadUnknown):
            unseal(sealed_by_hand(b"[" + b"{}," * 10_000 + b"{}]"), REPOSITORY)
        assert self.sizes == []

    def test_nothing_is_decoded_before_its_signature_is_verified(self) -> None:
        sealed = seal(UploadSession(REPOSITORY, "/up"))
        with pytest.raises(UploadUnknown):
            unseal(sealed, Repository(OTHER, NAME))
        assert self.sizes == []


def test_the_longest_location_fits_into_a_request_line() -> None:
    longest = Repository(IDENTITY, RepositoryName("o" * 64, "r" * (255 - 65)))
    location = "/" + "x" * (upload_session.MAX_LOCATION_BYTES - 1)
    sealed = seal(UploadSession(longest, location, (1 << 62) - 1))
    assert unseal(sealed, longest).location == location
    line = f"PATCH /v2/{longest}/blobs/uploads/{sealed}?digest=sha512%3A{'a' * 128} HTTP/1.1"
    assert len(line) < 8190


@pytest.mark.parametrize("location", ["/" + "x" * upload_session.MAX_LOCATION_BYTES, "/" + "\\" * 4000])
def test_a_location_that_no_client_could_send(location: str) -> None:
    with pytest.raises(Unexpected, match="an upload location of"):
        seal(UploadSession(REPOSITORY, location))


@pytest.mark.parametrize("location", ["/", "/!", "/~"])
def test_locations_that_may_be(location: str) -> None:
    assert unseal(seal(UploadSession(REPOSITORY, location)), REPOSITORY).location == location


@pytest.mark.parametrize("offset", [0, (1 << 62) - 1])
def test_offsets_that_may_be(offset: int) -> None:
    sealed = sealed_by_hand(payload_of({**DOCUMENT, "o": offset}))
    assert unseal(sealed, REPOSITORY).offset == offset


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=2000),
    st.integers(0, 2**60),
    st.booleans(),
)
def test_round_trip(location: str, offset: int, doubtful: bool) -> None:
    upload = UploadSession(REPOSITORY, "/up" + location, offset, doubtful=doubtful)
    sealed = seal(upload)
    assert unseal(sealed, REPOSITORY) == upload
    assert re.fullmatch(r"[\w.-]+", sealed, re.ASCII)


def test_both_kinds_of_secret_open_it() -> None:
    sealed = seal(UploadSession(REPOSITORY, "/up"))
    assert unseal(sealed, Repository(parse_credentials(ACCESS_ID, LOGIN_KEY, ["eu-de"]), NAME)).location == "/up"


def test_worthless_to_others() -> None:
    sealed = seal(UploadSession(REPOSITORY, "/up"))
    with pytest.raises(UploadUnknown):
        unseal(sealed, Repository(OTHER, NAME))
    with pytest.raises(UploadUnknown):
        unseal(sealed, Repository(IDENTITY, RepositoryName("org", "other")))


@given(st.data())
def test_any_change_is_seen(data: st.DataObject) -> None:
    sealed = seal(
        UploadSession(REPOSITORY, "/up?_state=" + "x" * 50, 10, "0d9f8a52-6f0e-4a8e-9a5e-2f6d1c7b3e41"),
    )
    at = data.draw(st.integers(0, len(sealed) - 2))
    letter = data.draw(st.sampled_from("AZaz09-_."))
    changed = sealed[:at] + letter + sealed[at + 1 :]
    if changed != sealed:
        with pytest.raises(UploadUnknown):
            unseal(changed, REPOSITORY)


@pytest.mark.parametrize("changed", [{"id": "x\r\ny"}, {"id": "a" * 37}, {"id": ""}, {"id": "G"}])
def test_what_only_the_account_itself_could_seal(changed: dict[str, str]) -> None:
    """Whoever has a secret, right or wrong, has a key: what he seals must neither cost much nor break out."""
    document = {"repository": REPOSITORY, "location": "/up", **changed}
    with pytest.raises(UploadUnknown):
        unseal(seal(UploadSession(**document)), REPOSITORY)  # type: ignore[arg-type]


@pytest.mark.parametrize("sealed", ["", ".", "a.b", "x" * 5000, "ä", "a%2Fb"])
def test_garbage(sealed: str) -> None:
    with pytest.raises(UploadUnknown):
        unseal(sealed, REPOSITORY)


def test_how_far() -> None:
    upload = UploadSession(REPOSITORY, "/up")
    assert upload.range == "0-0"
    assert upload.advanced("/up", 1).range == "0-0"
    further = upload.advanced("/up2", 100).advanced("/up3", 10)
    assert (further.range, further.location, further.id) == ("0-109", "/up3", upload.id)


def test_a_chunk_that_arrived_leaves_no_doubt() -> None:
    doubtful = UploadSession(REPOSITORY, "/up", 5, "0d9f8a52-6f0e-4a8e-9a5e-2f6d1c7b3e41", doubtful=True)
    assert doubtful.advanced("/up2", 3) == UploadSession(
        REPOSITORY, "/up2", 8, "0d9f8a52-6f0e-4a8e-9a5e-2f6d1c7b3e41", doubtful=False
    )


def test_a_location_does_not_look_like_a_jwt() -> None:
    """Logs mask these, and would show half of a location as something else."""
    assert not seal(UploadSession(REPOSITORY, "/up")).startswith("eyJ")


def test_every_upload_is_told_from_every_other() -> None:
    one, other = UploadSession(REPOSITORY, "/up"), UploadSession(REPOSITORY, "/up")
    assert one.id != other.id
    assert seal(one) != seal(other)


@pytest.mark.parametrize(
    "location",
    ["", "up", "@evil.example/x", ".example/x", "/a b", "/ä", "http://x/", "/a\n", "\n/a", "/\x7f", "/a\x00"],
)
def test_a_seal_of_ones_own_leads_nowhere_else(location: str) -> None:
    """The caller has the key."""
    with pytest.raises(UploadUnknown):
        unseal(seal(UploadSession(REPOSITORY, location)), REPOSITORY)


def test_no_location_in_a_repr() -> None:
    assert "_state" not in repr(UploadSession(REPOSITORY, "/up?_state=x"))
