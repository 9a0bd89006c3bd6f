from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import UploadUnknown
from adapter.identity import parse_identity
from adapter.names import Repository
from adapter.transfer.session import Session, seal, unseal
from tests.credentials import ACCESS_ID, LOGIN_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, SECRET_KEY

IDENTITY = parse_identity(ACCESS_ID, SECRET_KEY, ["eu-de"])
OTHER = parse_identity(f"eu-de@{OTHER_ACCESS_KEY}", OTHER_SECRET_KEY, ["eu-de"])
REPOSITORY = Repository("org", "a/b")


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=2000), st.integers(0, 2**60))
def test_round_trip(location: str, offset: int) -> None:
    session = Session(REPOSITORY, "/up" + location, offset)
    sealed = seal(session, IDENTITY)
    assert unseal(sealed, REPOSITORY, IDENTITY) == session
    assert re.fullmatch(r"[\w.-]+", sealed, re.ASCII)


def test_both_kinds_of_secret_open_it() -> None:
    sealed = seal(Session(REPOSITORY, "/up"), IDENTITY)
    assert unseal(sealed, REPOSITORY, parse_identity(ACCESS_ID, LOGIN_KEY, ["eu-de"])).location == "/up"


def test_worthless_to_others() -> None:
    sealed = seal(Session(REPOSITORY, "/up"), IDENTITY)
    with pytest.raises(UploadUnknown):
        unseal(sealed, REPOSITORY, OTHER)
    with pytest.raises(UploadUnknown):
        unseal(sealed, Repository("org", "other"), IDENTITY)


@given(st.data())
def test_any_change_is_seen(data: st.DataObject) -> None:
    sealed = seal(Session(REPOSITORY, "/up?_state=" + "x" * 50, 10, "an-id"), IDENTITY)
    at = data.draw(st.integers(0, len(sealed) - 2))
    letter = data.draw(st.sampled_from("AZaz09-_."))
    changed = sealed[:at] + letter + sealed[at + 1 :]
    if changed != sealed:
        with pytest.raises(UploadUnknown):
            unseal(changed, REPOSITORY, IDENTITY)


@pytest.mark.parametrize("sealed", ["", ".", "a.b", "x" * 5000, "ä", "a%2Fb"])
def test_garbage(sealed: str) -> None:
    with pytest.raises(UploadUnknown):
        unseal(sealed, REPOSITORY, IDENTITY)


def test_how_far() -> None:
    session = Session(REPOSITORY, "/up")
    assert session.range == "0-0"
    further = session.advanced("/up2", 100)
    assert (further.range, further.location, further.id) == ("0-99", "/up2", session.id)


@pytest.mark.parametrize("location", ["", "up", "@evil.example/x", ".example/x", "/a b", "/ä", "http://x/"])
def test_a_seal_of_ones_own_leads_nowhere_else(location: str) -> None:
    """The caller has the key."""
    with pytest.raises(UploadUnknown):
        unseal(seal(Session(REPOSITORY, location), IDENTITY), REPOSITORY, IDENTITY)


def test_no_location_in_a_repr() -> None:
    assert "_state" not in repr(Session(REPOSITORY, "/up?_state=x"))
