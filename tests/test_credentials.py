from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.credentials import Credentials, login_key, parse_credentials, region_of
from adapter.errors import AccessIdMalformed, CredentialsError, NothingEntered, RegionUnknown

REGIONS = ("eu-de", "eu-nl")


def test_login_key_is_the_documented_one() -> None:
    """`docs/facts/swr.md §2.1`, computed there with OTC's own pipeline."""
    expected = "f004a0445bcaf37d946c882a22e1e5f9007ea3513c293aa2d3360af05b8875cd"
    assert login_key("AccessKey", "SecretKey") == expected


@pytest.mark.parametrize(("project", "region"), [("eu-de", "eu-de"), ("eu-de_team", "eu-de"), ("eu-nl_a_b", "eu-nl")])
def test_the_region_comes_from_the_project(project: str, region: str) -> None:
    assert region_of(project) == region
    credentials = parse_credentials(f"{project}@AK1", "secret", REGIONS)
    assert (credentials.project, credentials.region, credentials.access_key) == (project, region, "AK1")
    assert credentials.access_id == f"{project}@AK1"
    assert credentials.account == f"{region}/AK1"


def test_both_kinds_of_secret_open_the_registry() -> None:
    key = hmac.new(b"sk", b"AK1", hashlib.sha256).hexdigest()
    by_secret = parse_credentials("eu-de@AK1", "sk", REGIONS)
    by_key = parse_credentials("eu-de@AK1", key.upper(), REGIONS)
    assert by_secret.login_key == by_key.login_key == key
    assert (by_secret.secret_key, by_key.secret_key) == ("sk", None)
    assert by_secret.fingerprint != by_key.fingerprint


def test_blanks_around_what_was_pasted_do_not_matter() -> None:
    assert parse_credentials(" eu-de@AK1 ", "sk\n", REGIONS) == parse_credentials("eu-de@AK1", "sk", REGIONS)


@pytest.mark.parametrize(
    ("access_id", "secret", "kind", "says"),
    [
        ("", "", NothingEntered, "no credentials"),
        (" ", " ", NothingEntered, "no credentials"),
        ("AK1", "sk", AccessIdMalformed, "<regional project name>@<AK>"),
        ("@AK1", "sk", AccessIdMalformed, "<regional project name>@<AK>"),
        ("eu-de@", "sk", AccessIdMalformed, "<regional project name>@<AK>"),
        ("eu-de@AK 1", "sk", AccessIdMalformed, "<regional project name>@<AK>"),
        ("eu-de@AK1\r\nX: y", "sk", AccessIdMalformed, "<regional project name>@<AK>"),
        ("", "sk", AccessIdMalformed, "<regional project name>@<AK>"),
        ("eu-de@AK1", "", AccessIdMalformed, "Access Secret is empty"),
        ("us-east_team@AK1", "sk", RegionUnknown, "us-east"),
        ("eu@AK1", "sk", RegionUnknown, "eu-de, eu-nl are known"),
        ("SKsecret0000000000000000000000000000secr@AK1", "sk", RegionUnknown, "names no region"),
    ],
)
def test_errors_of_form_are_told_apart(access_id: str, secret: str, kind: type[CredentialsError], says: str) -> None:
    with pytest.raises(kind) as caught:
        parse_credentials(access_id, secret, REGIONS)
    assert type(caught.value) is kind
    assert says in caught.value.sentence


@given(st.text(max_size=200), st.text(max_size=100))
def test_anything_else_is_refused_or_clean(access_id: str, secret: str) -> None:
    try:
        credentials = parse_credentials(access_id, secret, REGIONS)
    except CredentialsError as error:
        assert len(secret.strip()) < 6 or secret.strip() not in error.sentence
    else:
        assert credentials.access_id.isascii()
        assert ":" not in credentials.access_id


def test_no_secret_in_a_repr() -> None:
    credentials = Credentials("eu-de", "eu-de", "AK1", "the-login-key", "the-secret-key")
    assert "the-login-key" not in repr(credentials)
    assert "the-secret-key" not in repr(credentials)
    assert "the-secret-key" not in credentials.fingerprint


def test_a_fingerprint_is_of_the_whole_credential() -> None:
    made = {
        parse_credentials(f"{project}@{key}", secret, REGIONS).fingerprint
        for project in ("eu-de", "eu-de_a", "eu-nl")
        for key in ("AK1", "AK2")
        for secret in ("one", "two")
    }
    assert len(made) == 12


def test_an_access_id_for_a_log_is_cut() -> None:
    """People enter a secret where the AK belongs."""
    assert parse_credentials("eu-de@SKsecret000000", "x", REGIONS).shown == "eu-de@SKse..."
    assert parse_credentials("eu-de@AK1", "x", REGIONS).shown == "eu-de@AK1"
