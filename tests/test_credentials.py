from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.credentials import Credentials, parse_credentials, region_of
from adapter.errors import AccessIdMalformed, CredentialsError, NothingEntered, RegionUnknown

REGIONS = ("eu-de", "eu-nl")
FORM = "<regional project name>@<AK>"


@pytest.mark.parametrize(("project", "region"), [("eu-de", "eu-de"), ("eu-de_team", "eu-de"), ("eu-nl_a_b", "eu-nl")])
def test_region_is_part_of_project_name(project: str, region: str) -> None:
    assert region_of(project) == region
    credentials = parse_credentials(f" {project}@AK1 ", "secret\n", REGIONS)
    assert (credentials.project, credentials.region, credentials.access_key) == (project, region, "AK1")
    assert credentials.access_id == f"{project}@AK1"
    assert credentials.regional_key == f"{region}/AK1"


def test_secret_key_and_login_key_give_the_same_login() -> None:
    key = hmac.new(b"sk", b"AK1", hashlib.sha256).hexdigest()
    by_secret = parse_credentials("eu-de@AK1", "sk", REGIONS)
    by_key = parse_credentials("eu-de@AK1", key.upper(), REGIONS)
    assert by_secret.login_key == by_key.login_key == key
    assert (by_secret.secret_key, by_key.secret_key) == ("sk", None)
    assert by_secret.fingerprint != by_key.fingerprint


@pytest.mark.parametrize(
    ("access_id", "secret", "kind", "message"),
    [
        (" ", " ", NothingEntered, "no credentials"),
        *(
            (access_id, "sk", AccessIdMalformed, FORM)
            for access_id in ("", "AK1", "@AK1", "eu-de@", "eu-de@AK 1", "eu-de@AK1\r\nX: y")
        ),
        ("eu-de@AK1", "", AccessIdMalformed, "Access Secret is empty"),
        ("us-east_team@AK1", "sk", RegionUnknown, "unknown region 'us-east'"),
        ("eu@AK1", "sk", RegionUnknown, "use a project in eu-de, eu-nl, or"),
        ("SKsecret0000000000000000000000000000secr@AK1", "sk", RegionUnknown, "no region in the Access ID"),
    ],
)
def test_parse_rejects_malformed_credentials(
    access_id: str, secret: str, kind: type[CredentialsError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        parse_credentials(access_id, secret, REGIONS)
    assert type(caught.value) is kind
    assert message in caught.value.sentence


@given(st.text(max_size=200), st.text(max_size=100))
def test_parse_rejects_any_other_text_without_quoting_the_secret(access_id: str, secret: str) -> None:
    try:
        credentials = parse_credentials(access_id, secret, REGIONS)
    except CredentialsError as error:
        assert len(secret.strip()) < 6 or secret.strip() not in error.sentence
    else:
        assert credentials.access_id.isascii()
        assert ":" not in credentials.access_id


def test_credentials_show_no_secret() -> None:
    credentials = Credentials("eu-de", "eu-de", "SKsecret000000", "the-login-key", "the-secret-key")
    assert "-key'" not in repr(credentials)
    assert "the-" not in credentials.fingerprint
    # Some people enter a secret as the AK.
    assert credentials.shown == "eu-de@SKse..."
    assert parse_credentials("eu-de@AK1", "x", REGIONS).shown == "eu-de@AK1"


def test_fingerprint_depends_on_every_part() -> None:
    fingerprints = {
        parse_credentials(f"{project}@{key}", secret, REGIONS).fingerprint
        for project in ("eu-de", "eu-de_a", "eu-nl")
        for key in ("AK1", "AK2")
        for secret in ("one", "two")
    }
    assert len(fingerprints) == 12
