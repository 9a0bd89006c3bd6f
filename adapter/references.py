"""Names of organizations, repositories and tags, and digests: pure checks in linear time.

The patterns in the documentation of OTC need exponential time in a backtracking engine and disagree about dots and
hyphens (`docs/facts/swr.md §4.13`), so these are the patterns of the OCI distribution spec. SWR may reject more.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from adapter.errors import DigestInvalid, NameInvalid, OrganizationReserved, TagInvalid

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_ORGANIZATION: Final = re.compile(r"[a-z][a-z0-9]*(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}", re.ASCII)

_MAX_REPOSITORY_LENGTH: Final = 255
_MAX_ORGANIZATION_LENGTH: Final = 64
_MAX_QUOTED_LENGTH: Final = 100

RESERVED: Final = frozenset({"library"})
"""Organization names that SWR reserves (`docs/facts/swr.md §4.13`)."""


@dataclass(frozen=True)
class RepositoryName:
    """`<organization>/<path>`; the path may be nested."""

    organization: str
    path: str

    def __str__(self) -> str:
        return f"{self.organization}/{self.path}"


def _quoted(text: str) -> str:
    """The printable start of a name, for a message."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_QUOTED_LENGTH])
    return f"'{printable}'" + ("..." if len(text) > _MAX_QUOTED_LENGTH else "")


def parse_repository(name: str) -> RepositoryName:
    """The repository of a decoded path. Raises `NameInvalid`."""
    if len(name) > _MAX_REPOSITORY_LENGTH or not _REPOSITORY.fullmatch(name):
        raise NameInvalid(
            f"invalid repository name {_quoted(name)}: use lowercase letters and digits, separated by '.', '_', '-' or "
            f"'/', at most {_MAX_REPOSITORY_LENGTH} characters"
        )
    organization, slash, path = name.partition("/")
    if not slash:
        raise NameInvalid(
            f"no organization in repository name {_quoted(name)}: set the destination namespace of the replication "
            "rule to an SWR organization"
        )
    return RepositoryName(organization, path)


def check_organization(name: str) -> str:
    """The name, if a new organization can have it. Raises `NameInvalid`, `OrganizationReserved`."""
    if len(name) > _MAX_ORGANIZATION_LENGTH or not _ORGANIZATION.fullmatch(name):
        raise NameInvalid(
            f"invalid SWR organization name {_quoted(name)}: choose a destination namespace of 1 to "
            f"{_MAX_ORGANIZATION_LENGTH} lowercase letters, digits, '.', '_' or '-' that starts with a letter and ends "
            "with a letter or digit"
        )
    if name in RESERVED:
        raise OrganizationReserved(
            f"organization name '{name}' is reserved by SWR: choose another destination namespace in the replication "
            "rule"
        )
    return name


def is_digest(reference: str) -> bool:
    """Whether a manifest reference is a digest and not a tag: a tag has no colon."""
    return ":" in reference


def check_digest(digest: str) -> str:
    """The digest. Raises `DigestInvalid`."""
    if not _DIGEST.fullmatch(digest):
        raise DigestInvalid(f"invalid digest {_quoted(digest)}: expected sha256:<64 lowercase hex digits>")
    return digest


def check_reference(reference: str) -> str:
    """A tag or a digest. Raises `TagInvalid`, `DigestInvalid`."""
    return check_digest(reference) if is_digest(reference) else check_tag(reference)


def check_tag(tag: str) -> str:
    """The tag. Raises `TagInvalid`."""
    if not _TAG.fullmatch(tag):
        raise TagInvalid(
            f"invalid tag {_quoted(tag)}: use letters, digits, '_', '.' or '-', at most 128 characters, starting with "
            "a letter, a digit or '_'"
        )
    return tag


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """`<algorithm>:<hex>` of the bytes; `check_digest` accepts the algorithm."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def algorithm_of(digest: str) -> str:
    """`sha256` or `sha512` of a checked digest."""
    return digest.partition(":")[0]
