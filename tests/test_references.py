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
CHECKS = (parse_repository, check_organization, check_reference, check_digest)


ACCEPTED = {
    parse_repository: ("org/a/b/c", "o-r.g__x/a--b", "1org/01.23_45", "org/" + "a" * 251),
    check_organization: ("a", "dev-container", "a.b", "a__b", "a--b", "a" * 64, "z.9_y-xw"),
    check_reference: ("_", "1.0", "A-b_c.d", "a" * 128, "__", "0-.", SHA, "sha512:" + "0" * 128),
    check_digest: (SHA, "sha512:" + "0" * 128),
}
REJECTED = {
    parse_repository: (
        *("", "org", "/org/repo", "org/", "org//repo", "org/../repo", "..", "org/.repo", "org/repo-", "org/re___po"),
        *("org/re..po", "org/re._po", "-org/repo", "org-/repo", "org/repo\n", "org/%2e%2e", "org/" + "a" * 252),
    ),
    check_organization: ("", "-a", "a-", "a.", "a___b", "a..b", "a\n", "_a", "a_", "a._b", "a" * 65),
    check_reference: ("", ".a", "-a", "a" * 129, "a\n", "..", "sha256:", ":"),
    check_digest: (
        *("sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha512:" + "a" * 64, "sha512:" + "a" * 127, "md5:" + "a" * 32),
        *("sha512:" + "a" * 129, SHA + "\n", "SHA256:" + "a" * 64, "x" + SHA, "sha256:" + SHA, "a" * 64),
    ),
}


@pytest.mark.parametrize(("check", "text"), [(check, text) for check, texts in ACCEPTED.items() for text in texts])
def test_check_accepts(check: Callable[[str], object], text: str) -> None:
    assert str(check(text)) == text


@pytest.mark.parametrize(("check", "text"), [(check, text) for check, texts in REJECTED.items() for text in texts])
def test_check_rejects(check: Callable[[str], object], text: str) -> None:
    with pytest.raises(AdapterError) as caught:
        check(text)
    assert len(caught.value.sentence) < 400


def test_parse_repository_splits_at_the_first_slash() -> None:
    assert parse_repository("org/a/b/c") == RepositoryName("org", "a/b/c")


def test_is_digest() -> None:
    assert is_digest(SHA)
    assert not is_digest("v1")


def test_digest_of() -> None:
    assert digest_of(b"x") == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert digest_of(b"x", algorithm_of("sha512:" + "0" * 128)) == "sha512:" + hashlib.sha512(b"x").hexdigest()


@pytest.mark.parametrize(
    ("check", "around", "allowed"),
    [
        (parse_repository, "{}/a", LOWER),
        (parse_repository, "a-{}/a", LOWER),
        (parse_repository, "org/{}", LOWER),
        (parse_repository, "org/a-{}", LOWER),
        (parse_repository, "org/a{}b", LOWER + "._-/"),
        (parse_repository, "org/a/b/{}c", LOWER),
        (check_organization, "{}a", string.ascii_lowercase),
        (check_organization, "a-{}", LOWER),
        (check_organization, "a{}b", LOWER + "._-"),
        (check_reference, "{}", string.ascii_letters + string.digits + "_"),
        (check_reference, "a{}", string.ascii_letters + string.digits + "_.-"),
        (check_digest, "sha256:{}" + "0" * 63, HEXADECIMAL),
        (check_digest, "sha512:{}" + "0" * 127, HEXADECIMAL),
    ],
)
def test_checks_accept_exactly_these_characters(check: Callable[[str], object], around: str, allowed: str) -> None:
    """All of Latin-1, and letters and digits elsewhere that look alike or change case into ASCII."""
    accepted = set()
    for character in [*map(chr, range(256)), "\u212a", "\u017f", "\u0663", "\uff41", "\uff10", "\u0131"]:
        with contextlib.suppress(AdapterError):
            check(around.format(character))
            accepted.add(character)
    assert accepted == set(allowed)


TAG_RULE = "use letters, digits, '_', '.' or '-', at most 128 characters, starting with a letter, a digit or '_'"


@pytest.mark.parametrize(
    ("check", "text", "kind", "message"),
    [
        (
            parse_repository,
            "Org/repo",
            NameInvalid,
            "invalid repository name 'Org/repo': use lowercase letters and digits, separated by '.', '_', '-' or '/', "
            "at most 255 characters",
        ),
        (
            parse_repository,
            "nginx",
            NameInvalid,
            "no organization in repository name 'nginx': set the destination namespace of the replication rule to an "
            "SWR organization",
        ),
        (
            check_organization,
            "Team",
            NameInvalid,
            "invalid SWR organization name 'Team': choose a destination namespace of 1 to 64 lowercase letters, "
            "digits, '.', '_' or '-' that starts with a letter and ends with a letter or digit",
        ),
        (
            check_organization,
            "library",
            OrganizationReserved,
            "organization name 'library' is reserved by SWR: choose another destination namespace in the replication "
            "rule",
        ),
        (check_reference, "-v1", TagInvalid, f"invalid tag '-v1': {TAG_RULE}"),
        (check_reference, "", TagInvalid, f"invalid tag '': {TAG_RULE}"),
        (check_reference, "+" * 100, TagInvalid, f"invalid tag '{'+' * 100}': {TAG_RULE}"),
        (check_reference, "+" * 101, TagInvalid, f"invalid tag '{'+' * 100}'...: {TAG_RULE}"),
        (check_reference, "a\nb\0c\u202ed", TagInvalid, f"invalid tag 'a?b?c?d': {TAG_RULE}"),
        (
            check_reference,
            "sha256:0",
            DigestInvalid,
            "invalid digest 'sha256:0': expected sha256:<64 lowercase hex digits>",
        ),
    ],
)
def test_check_message(check: Callable[[str], object], text: str, kind: type[AdapterError], message: str) -> None:
    """Harbor shows it in the task log."""
    with pytest.raises(AdapterError) as caught:
        check(text)
    assert type(caught.value) is kind
    assert caught.value.sentence == message


@given(st.text(max_size=300))
def test_check_message_is_printable(text: str) -> None:
    for check in CHECKS:
        try:
            check(text)
        except AdapterError as error:
            assert error.sentence.isprintable()


def test_checks_take_linear_time() -> None:
    """The documented patterns take seconds for 26 letters; a megabyte would never end."""
    for check in CHECKS:
        for hostile in (
            *("a" * 1_000_000 + "!", "a-" * 500_000, "a_" * 500_000, "sha256:" + "a" * 1_000_000),
            # Short enough to reach the patterns.
            *("a" * 60 + "!", "a-" * 30 + "!", "a_" * 30 + "!", "a--" * 20 + "!", "a/" * 30 + "!"),
        ):
            with pytest.raises(AdapterError):
                check(hostile)
