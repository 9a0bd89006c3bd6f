"""Profiles of SWR: which manifests it accepts, and which garbage it collects. Pure.

The evidence is missing or conflicts (docs/facts/swr.md §6, §10), so the adapter must work with each profile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.sandbox.recordings.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.credentials import ACCESS_KEY, PROJECT

DEFAULT_PROFILE: Final = "refuse-index"


@dataclass(frozen=True)
class Profile:
    """The fields are the sandbox knobs of these names."""

    name: str
    oci: str
    artifacts: bool = True
    oci_children: bool = True
    unknown_fields: bool = True
    forget: str = "nothing"

    @property
    def project(self) -> str:
        """A region for each profile: what the adapter has learned with one profile must not help with another."""
        return PROJECT if self.name == DEFAULT_PROFILE else self.name

    @property
    def access_id(self) -> str:
        return f"{self.project}@{ACCESS_KEY}"

    @property
    def knobs(self) -> Mapping[str, str | bool]:
        """The sandbox knobs of this profile."""
        return {
            "oci": self.oci,
            "artifacts": self.artifacts,
            "oci_children": self.oci_children,
            "unknown_fields": self.unknown_fields,
            "forget": self.forget,
        }

    @property
    def collects_garbage(self) -> bool:
        return self.forget != "nothing"

    def rejects(self, media_type: str, data: bytes) -> bool:
        """Whether SWR rejects the manifest because of its type or content."""
        document = json.loads(data)
        if media_type == OCI_INDEX:
            return self.oci != "accept"
        if media_type == OCI_MANIFEST:
            return self.oci == "refuse-all" or (not self.artifacts and _is_artifact(document))
        if media_type == DOCKER_LIST and any(map(self._rejects_child, document["manifests"])):
            return True
        return not self.unknown_fields and '"annotations"' in data.decode()

    def _rejects_child(self, entry: Mapping[str, Any]) -> bool:
        return is_attestation(entry) or (entry["mediaType"] == OCI_MANIFEST and not self.oci_children)

    @property
    def child_type(self) -> str:
        """The media type of the images in a list that was converted from an index."""
        return DOCKER_MANIFEST if self.oci == "refuse-all" or not self.oci_children else OCI_MANIFEST


def _is_artifact(document: Mapping[str, Any]) -> bool:
    return "artifactType" in document or document["config"]["mediaType"] != OCI_CONFIG


def is_attestation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of an index is an attestation of BuildKit."""
    return bool(entry.get("platform", {}).get("os") == "unknown")


PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("accept", "accept"),
        Profile(DEFAULT_PROFILE, "refuse-index"),
        Profile("refuse-all", "refuse-all"),
        Profile("images-only", "refuse-index", artifacts=False),
        Profile("docker-children", "refuse-index", oci_children=False),
        Profile("strict", "refuse-index", unknown_fields=False),
        Profile("strict-all", "refuse-all", unknown_fields=False),
        Profile("gc", "refuse-index", forget="both"),
        Profile("gc-all", "refuse-all", forget="blobs"),
    )
}
