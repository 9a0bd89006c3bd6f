"""A repository in SWR together with the credentials that requests to it carry."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.credentials import Credentials
from adapter.references import RepositoryName


@dataclass(frozen=True)
class Repository:
    """Made by `SwrClient.repository`. As text it is the name: `<organization>/<path>`."""

    credentials: Credentials
    name: RepositoryName

    @property
    def organization(self) -> str:
        """The first part of the name."""
        return self.name.organization

    def __str__(self) -> str:
        return str(self.name)
