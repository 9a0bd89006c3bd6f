"""What of a manifest an SWR takes, and what it forgets: the moods in which recordings are played. Pure.

What SWR does is not known, or the evidence conflicts (docs/facts/swr.md §6, §10): the adapter has to get on with all.
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
    """All but the name mean what the sandbox's knobs of these names mean."""

    name: str
    oci: str
    artifacts: bool = True
    oci_children: bool = True
    unknown_fields: bool = True
    forget: str = "nothing"

    @property
    def project(self) -> str:
        """A region of its own for each mood: what the adapter has learnt of one must not help it in another."""
        return PROJECT if self.name == DEFAULT_PROFILE else self.name

    @property
    def access_id(self) -> str:
        return f"{self.project}@{ACCESS_KEY}"

    @property
    def knobs(self) -> Mapping[str, str | bool]:
        """The sandbox's, for this mood."""
        return {
            "oci": self.oci,
            "artifacts": self.artifacts,
            "oci_children": self.oci_children,
            "unknown_fields": self.unknown_fields,
            "forget": self.forget,
        }

    @property
    def forgets(self) -> bool:
        return self.forget != "nothing"

    def refuses(self, media_type: str, data: bytes) -> bool:
        """Whether SWR refuses the manifest for what it is."""
        document = json.loads(data)
        if media_type == OCI_INDEX:
            return self.oci != "accept"
        if media_type == OCI_MANIFEST:
            return self.oci == "refuse-all" or (not self.artifacts and _is_artifact(document))
        if media_type == DOCKER_LIST and any(map(self._refuses_child, document["manifests"])):
            return True
        return not self.unknown_fields and '"annotations"' in data.decode()

    def _refuses_child(self, entry: Mapping[str, Any]) -> bool:
        return is_attestation(entry) or (entry["mediaType"] == OCI_MANIFEST and not self.oci_children)

    @property
    def child_type(self) -> str:
        """Of the images in a list that stands for an index."""
        return DOCKER_MANIFEST if self.oci == "refuse-all" or not self.oci_children else OCI_MANIFEST


def _is_artifact(document: Mapping[str, Any]) -> bool:
    return "artifactType" in document or document["config"]["mediaType"] != OCI_CONFIG


def is_attestation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of an index is what BuildKit says about an image."""
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
        Profile("forgetful", "refuse-index", forget="both"),
        Profile("forgetful-all", "refuse-all", forget="blobs"),
    )
}
