"""Names of organizations, repositories, tags and digests: pure checks in linear time.

The patterns that OTC prints are exponential in a backtracking engine and disagree about dots and hyphens
(`docs/facts/swr.md §4.13`), so these are the ones of the OCI distribution spec; what SWR alone refuses, SWR says.
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

_LONGEST_REPOSITORY: Final = 255
_LONGEST_ORGANIZATION: Final = 64
_SHOWN: Final = 100

RESERVED: Final = frozenset({"library"})
"""Organization names that SWR keeps for itself (`docs/facts/swr.md §4.13`)."""


@dataclass(frozen=True)
class RepositoryName:
    """`<organization>/<path>`; the path may be nested."""

    organization: str
    path: str

    def __str__(self) -> str:
        return f"{self.organization}/{self.path}"


def _shown(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])
    return f"'{printable}'" + ("..." if len(text) > _SHOWN else "")


def parse_repository(name: str) -> RepositoryName:
    """The repository of a decoded path. Raises `NameInvalid`."""
    if len(name) > _LONGEST_REPOSITORY or not _REPOSITORY.fullmatch(name):
        raise NameInvalid(
            f"{_shown(name)} is no repository name: lower-case letters and digits, separated by '.', '_', '-' and '/', "
            f"at most {_LONGEST_REPOSITORY} characters"
        )
    organization, slash, path = name.partition("/")
    if not slash:
        raise NameInvalid(
            f"{_shown(name)} names no organization: SWR repositories are <organization>/<repository>; "
            "set the destination namespace of the replication rule to an SWR organization"
        )
    return RepositoryName(organization, path)


def check_organization(name: str) -> str:
    """The name, when SWR could take it for a new organization. Raises `NameInvalid`, `OrganizationReserved`."""
    if len(name) > _LONGEST_ORGANIZATION or not _ORGANIZATION.fullmatch(name):
        raise NameInvalid(
            f"{_shown(name)} cannot be an SWR organization: 1 to {_LONGEST_ORGANIZATION} lower-case letters, digits, "
            "'.', '_' and '-', starting with a letter and ending with a letter or digit; "
            "choose another destination namespace in the replication rule"
        )
    if name in RESERVED:
        raise OrganizationReserved(
            f"SWR reserves the organization name '{name}': choose another destination namespace in the replication rule"
        )
    return name


def is_digest(reference: str) -> bool:
    """Whether a manifest reference is meant as a digest: tags hold no colon."""
    return ":" in reference


def check_digest(digest: str) -> str:
    """The digest. Raises `DigestInvalid`."""
    if not _DIGEST.fullmatch(digest):
        raise DigestInvalid(f"{_shown(digest)} is no digest: sha256:<64 lower-case hex digits> is wanted")
    return digest


def check_reference(reference: str) -> str:
    """A tag or a digest. Raises `TagInvalid`, `DigestInvalid`."""
    return check_digest(reference) if is_digest(reference) else check_tag(reference)


def check_tag(tag: str) -> str:
    """The tag. Raises `TagInvalid`."""
    if not _TAG.fullmatch(tag):
        raise TagInvalid(
            f"{_shown(tag)} is no tag: letters, digits, '_', '.' and '-', at most 128, not starting with '.' or '-'"
        )
    return tag


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """`<algorithm>:<hex>` of the bytes; the algorithm is one that `check_digest` lets pass."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def algorithm_of(digest: str) -> str:
    """`sha256` or `sha512` of a checked digest."""
    return digest.partition(":")[0]
