from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import AdapterError, DigestInvalid, NameInvalid, OrganizationReserved, TagInvalid
from adapter.names import (
    Repository,
    algorithm_of,
    check_digest,
    check_organization,
    check_reference,
    digest_of,
    is_digest,
    parse_repository,
)

SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "organization", "path"),
    [
        ("org/repo", "org", "repo"),
        ("org/a/b/c", "org", "a/b/c"),
        ("o-r.g__x/a--b", "o-r.g__x", "a--b"),
        ("1org/2", "1org", "2"),
    ],
)
def test_repositories(name: str, organization: str, path: str) -> None:
    assert parse_repository(name) == Repository(organization, path)
    assert str(parse_repository(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "org",
        "/org/repo",
        "org/",
        "org//repo",
        "org/../repo",
        "..",
        "org/.repo",
        "org/repo-",
        "org/re___po",
        "org/re..po",
        "Org/repo",
        "org/répo",
        "org/re po",
        "org/repo\n",
        "org/repo\0",
        "org\\repo",
        "org/%2e%2e",
        "org/" + "a" * 252,
        "org/" + "a" * 10_000,
    ],
)
def test_bad_repositories(name: str) -> None:
    with pytest.raises(NameInvalid) as caught:
        parse_repository(name)
    assert len(caught.value.sentence) < 400


def test_a_name_without_organization_says_what_to_do() -> None:
    with pytest.raises(NameInvalid, match="destination namespace"):
        parse_repository("nginx")


@pytest.mark.parametrize("name", ["a", "team", "dev-container", "a.b", "a_b", "a__b", "a--b", "a" * 64, "a1"])
def test_organizations(name: str) -> None:
    assert check_organization(name) == name


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "a.", "a___b", "a..b", "A", "a b", "a/b", "ä", "a" * 65])
def test_bad_organizations(name: str) -> None:
    with pytest.raises(NameInvalid):
        check_organization(name)


def test_the_reserved_organization() -> None:
    with pytest.raises(OrganizationReserved):
        check_organization("library")


@pytest.mark.parametrize("tag", ["v1", "_", "1.0", "A-b_c.d", "a" * 128, "sha256-26c0.sig"])
def test_tags(tag: str) -> None:
    assert check_reference(tag) == tag
    assert not is_digest(tag)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a" * 129, "a b", "a/b", "ä", "a\n", "..", "a%"])
def test_bad_tags(tag: str) -> None:
    with pytest.raises(TagInvalid):
        check_reference(tag)


@pytest.mark.parametrize("digest", [SHA, "sha512:" + "0" * 128])
def test_digests(digest: str) -> None:
    assert check_digest(digest) == check_reference(digest) == digest
    assert is_digest(digest)


@pytest.mark.parametrize(
    "digest",
    ["sha256:", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 65, "md5:" + "a" * 32, ":", SHA + "\n"],
)
def test_bad_digests(digest: str) -> None:
    with pytest.raises(DigestInvalid):
        check_reference(digest)


def test_digest_of() -> None:
    assert digest_of(b"x") == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert digest_of(b"x", algorithm_of("sha512:" + "0" * 128)) == "sha512:" + hashlib.sha512(b"x").hexdigest()


@given(st.text(max_size=300))
def test_sentences_are_safe_to_print(text: str) -> None:
    for check in (parse_repository, check_organization, check_reference, check_digest):
        try:
            check(text)
        except AdapterError as error:
            assert error.sentence.isprintable()


def test_checks_take_linear_time() -> None:
    """The documented patterns take seconds for 26 letters; a megabyte would never end."""
    for check in (parse_repository, check_organization, check_reference, check_digest):
        for hostile in ("a" * 1_000_000 + "!", "a-" * 500_000, "a_" * 500_000, "sha256:" + "a" * 1_000_000):
            with pytest.raises(AdapterError):
                check(hostile)
