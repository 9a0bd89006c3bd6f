from __future__ import annotations

import contextlib
import hashlib
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import AdapterError, DigestInvalid, NameInvalid, OrganizationReserved, TagInvalid
from adapter.references import (
    RepositoryName,
    algorithm_of,
    check_digest,
    check_organization,
    check_reference,
    digest_of,
    is_digest,
    parse_repository,
)

LOWER = string.ascii_lowercase + string.digits
HEXADECIMAL = string.digits + "abcdef"
SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "organization", "path"),
    [
        ("org/repo", "org", "repo"),
        ("org/a/b/c", "org", "a/b/c"),
        ("o-r.g__x/a--b", "o-r.g__x", "a--b"),
        ("1org/2", "1org", "2"),
        ("org/a---bc/01.23_45", "org", "a---bc/01.23_45"),
        ("team-one.two/ab__cd", "team-one.two", "ab__cd"),
        ("org/" + "a" * 251, "org", "a" * 251),
    ],
)
def test_repositories(name: str, organization: str, path: str) -> None:
    assert parse_repository(name) == RepositoryName(organization, path)
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
        "org/re._po",
        "org/_repo",
        "org/repo_",
        "-org/repo",
        "org-/repo",
        "org/rePo",
        "org/re/po.",
        "org/re+po",
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


@pytest.mark.parametrize(
    "name", ["a", "team", "dev-container", "a.b", "a_b", "a__b", "a--b", "a" * 64, "a1", "z.9_y-xw"]
)
def test_organizations(name: str) -> None:
    assert check_organization(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "1a", "-a", "a-", "a.", "a___b", "a..b", "A", "aB", "a b", "a/b", "ä", "a\n", "_a", "a_", "a._b", "a" * 65],
)
def test_bad_organizations(name: str) -> None:
    with pytest.raises(NameInvalid):
        check_organization(name)


@pytest.mark.parametrize("tag", ["v1", "_", "1.0", "A-b_c.d", "a" * 128, "sha256-26c0.sig", "Z9", "__", "0-."])
def test_tags(tag: str) -> None:
    assert check_reference(tag) == tag
    assert not is_digest(tag)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a" * 129, "a b", "a/b", "ä", "aä", "a\n", "..", "a%", "a+"])
def test_bad_tags(tag: str) -> None:
    with pytest.raises(TagInvalid):
        check_reference(tag)


@pytest.mark.parametrize("digest", [SHA, "sha512:" + "0" * 128, "sha256:" + "0123456789abcdef" * 4])
def test_digests(digest: str) -> None:
    assert check_digest(digest) == check_reference(digest) == digest
    assert is_digest(digest)


@pytest.mark.parametrize(
    "digest",
    [
        *("sha256:", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "g" * 64),
        *("sha512:" + "a" * 64, "sha512:" + "a" * 127, "sha512:" + "a" * 129, "sha512:" + "A" * 128),
        *("md5:" + "a" * 32, ":", SHA + "\n", "SHA256:" + "a" * 64, "x" + SHA, "sha256:sha256:" + "a" * 64),
    ],
)
def test_bad_digests(digest: str) -> None:
    with pytest.raises(DigestInvalid):
        check_reference(digest)


def test_digest_of() -> None:
    assert digest_of(b"x") == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert digest_of(b"x", algorithm_of("sha512:" + "0" * 128)) == "sha512:" + hashlib.sha512(b"x").hexdigest()


@pytest.mark.parametrize(
    ("check", "around", "allowed"),
    [
        (parse_repository, "{}/a", LOWER),
        (parse_repository, "a-{}/a", LOWER),
        (parse_repository, "org/{}", LOWER),
        (parse_repository, "org/a{}", LOWER),
        (parse_repository, "org/a-{}", LOWER),
        (parse_repository, "org/a{}b", LOWER + "._-/"),
        (parse_repository, "org/a/b/{}c", LOWER),
        (check_organization, "{}", string.ascii_lowercase),
        (check_organization, "{}a", string.ascii_lowercase),
        (check_organization, "a{}", LOWER),
        (check_organization, "a-{}", LOWER),
        (check_organization, "a{}b", LOWER + "._-"),
        (check_reference, "{}", string.ascii_letters + string.digits + "_"),
        (check_reference, "a{}", string.ascii_letters + string.digits + "_.-"),
        (check_digest, "sha256:{}" + "0" * 63, HEXADECIMAL),
        (check_digest, "sha512:{}" + "0" * 127, HEXADECIMAL),
    ],
)
def test_every_character(check: Callable[[str], object], around: str, allowed: str) -> None:
    """All of Latin-1, and letters and digits elsewhere that look alike or change case into ASCII."""
    accepted = set()
    for character in [*map(chr, range(256)), "\u212a", "\u017f", "\u0663", "\uff41", "\uff10", "\u0131"]:
        with contextlib.suppress(AdapterError):
            check(around.format(character))
            accepted.add(character)
    assert accepted == set(allowed)


@pytest.mark.parametrize(
    ("check", "text", "kind", "sentence"),
    [
        (
            parse_repository,
            "Org/repo",
            NameInvalid,
            "'Org/repo' is no repository name: lower-case letters and digits, separated by '.', '_', '-' and '/', "
            "at most 255 characters",
        ),
        (
            parse_repository,
            "nginx",
            NameInvalid,
            "'nginx' names no organization: SWR repositories are <organization>/<repository>; "
            "set the destination namespace of the replication rule to an SWR organization",
        ),
        (
            check_organization,
            "Team",
            NameInvalid,
            "'Team' cannot be an SWR organization: 1 to 64 lower-case letters, digits, '.', '_' and '-', "
            "starting with a letter and ending with a letter or digit; "
            "choose another destination namespace in the replication rule",
        ),
        (
            check_organization,
            "library",
            OrganizationReserved,
            "SWR reserves the organization name 'library': "
            "choose another destination namespace in the replication rule",
        ),
        (
            check_reference,
            "-v1",
            TagInvalid,
            "'-v1' is no tag: letters, digits, '_', '.' and '-', at most 128, not starting with '.' or '-'",
        ),
        (
            check_reference,
            "sha256:0",
            DigestInvalid,
            "'sha256:0' is no digest: sha256:<64 lower-case hex digits> is wanted",
        ),
    ],
)
def test_what_a_refusal_says(
    check: Callable[[str], object], text: str, kind: type[AdapterError], sentence: str
) -> None:
    """Harbor shows it in the task's log."""
    with pytest.raises(AdapterError) as caught:
        check(text)
    assert type(caught.value) is kind
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("+" * 100, "'" + "+" * 100 + "'"),
        ("+" * 101, "'" + "+" * 100 + "'..."),
        ("a\nb\0c\u202ed", "'a?b?c?d'"),
        ("", "''"),
    ],
)
def test_what_is_shown_of_a_name(tag: str, shown: str) -> None:
    """Enough to find it, and no more than a line can bear."""
    with pytest.raises(TagInvalid) as caught:
        check_reference(tag)
    assert caught.value.sentence.startswith(shown + " is no tag")


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
        for hostile in (
            *("a" * 1_000_000 + "!", "a-" * 500_000, "a_" * 500_000, "sha256:" + "a" * 1_000_000),
            # Short enough to reach the patterns.
            *("a" * 60 + "!", "a-" * 30 + "!", "a_" * 30 + "!", "a--" * 20 + "!", "a/" * 30 + "!"),
        ):
            with pytest.raises(AdapterError):
                check(hostile)
