"""The registries under test: the adapter in front of two profiles of SWR, and docker-registry for comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.registry import running_registry
from tests.conformance.suite import Results, run
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import running_adapter, running_sandbox

PLAIN = "docker-registry"


@dataclass(frozen=True)
class Subject:
    """A registry under test; `knobs` are those of the sandbox."""

    name: str
    described: str
    knobs: Mapping[str, Any] = field(default_factory=dict)


SUBJECTS = (
    Subject("refuse-index", "the adapter; SWR rejects OCI indexes and does not mount, the default of the sandbox"),
    Subject("accept", "the adapter; SWR accepts all OCI types and mounts", {"oci": "accept", "mount": "201"}),
    Subject(PLAIN, "Debian's docker-registry 2.8.2 alone, deletion enabled"),
)


def results(subject: Subject, folder: Path) -> Results:
    """Runs the suite against the subject."""
    if subject.name == PLAIN:
        with tempfile.TemporaryDirectory(prefix="docker-registry-") as data:
            storage = {"filesystem": {"rootdirectory": f"{data}/data"}, "delete": {"enabled": True}}
            with running_registry(Path(data) / "registry", storage=storage) as address:
                return run(address, folder)
    with (
        running_sandbox(**subject.knobs) as sandbox,
        running_adapter({PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}) as adapter,
    ):
        return run(adapter.contract.removeprefix("http://"), folder, ACCESS_ID, SECRET_KEY)
