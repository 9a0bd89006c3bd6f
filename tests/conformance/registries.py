"""What the suite is run against: the adapter in front of two SWRs, and a plain docker-registry to compare with."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.suite import Results, run
from tests.credentials import ACCESS_ID, PROJECT, SECRET_KEY
from tests.running import running_adapter, running_sandbox
from tests.services import answers, free_ports

PLAIN = "docker-registry"


@dataclass(frozen=True)
class Subject:
    """Something that the suite is run against; `knobs` are the sandbox's."""

    name: str
    described: str
    knobs: Mapping[str, Any] = field(default_factory=dict)


SUBJECTS = (
    Subject("refuse-index", "the adapter; SWR refuses OCI indexes and does not mount, as the sandbox does by default"),
    Subject("accept", "the adapter; SWR accepts all OCI types and mounts", {"oci": "accept", "mount": "201"}),
    Subject(PLAIN, "Debian's docker-registry 2.8.2 alone, deletion enabled"),
)


def results(subject: Subject, folder: Path) -> Results:
    """Starts the subject, runs the suite and stops it again."""
    if subject.name == PLAIN:
        with _docker_registry() as address:
            return run(address, folder)
    with (
        running_sandbox(**subject.knobs) as sandbox,
        running_adapter({PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}) as adapter,
    ):
        return run(adapter.contract.removeprefix("http://"), folder, ACCESS_ID, SECRET_KEY)


@contextmanager
def _docker_registry() -> Iterator[str]:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="docker-registry-") as folder:
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{folder}/data"}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{port}", "secret": "only for this test"},
        }
        file = Path(folder) / "config.yml"
        file.write_text(json.dumps(config))  # JSON is YAML
        log = Path(folder) / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(["docker-registry", "serve", file], stdout=sink, stderr=sink)
        try:
            until = time.monotonic() + 20
            while not answers(port, "/v2/"):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"docker-registry did not start: {log.read_text()}")
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)
