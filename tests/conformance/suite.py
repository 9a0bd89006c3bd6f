"""OCI's conformance suite: built from the Go module proxy, run against a registry, its results by test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent.parent
MODULE = Path(__file__).parent
PACKAGE = "github.com/opencontainers/distribution-spec/conformance"
BINARY = ROOT / "build" / "tools" / "conformance"

VERSION = "1.1"
STATUSES = ("passed", "skipped", "failed")
OPTIONS = {
    "OCI_VERSION": VERSION,
    "OCI_TLS": "disabled",
    "OCI_LOG": "error",
    # Off by default in the suite. Harbor relies on them (docs/facts/harbor.md D.2), and SWR may not have them.
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
}

Results = Mapping[str, Mapping[str, int]]
"""Number of runs by status, by name of the test. The suite runs some tests for several blobs or manifests."""


class Unavailable(Exception):
    """The suite cannot be built; the message says why."""


def build() -> Path:
    """Builds the suite in the version of go.mod and returns the path of the binary.

    :raises Unavailable: when that fails.
    """
    go = shutil.which("go")
    if go is None:
        raise Unavailable("Go is not installed")
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    command = [go, "build", "-o", str(BINARY), PACKAGE]
    built = subprocess.run(command, cwd=MODULE, env=env, capture_output=True, text=True, timeout=600, check=False)
    if built.returncode:
        raise Unavailable(f"cannot build the suite: {built.stderr.strip()}")
    return BINARY


def run(registry: str, folder: Path, user: str = "", password: str = "") -> Results:
    """The results for a registry on `host:port` without TLS; the suite writes its reports to the folder."""
    settings = {
        "OCI_REGISTRY": registry,
        "OCI_USERNAME": user,
        "OCI_PASSWORD": password,
        "OCI_RESULTS_DIR": str(folder),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")}
    env = {**inherited, **OPTIONS, **settings}
    ended = subprocess.run([BINARY], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    report = folder / "junit.xml"
    if not report.exists():
        raise RuntimeError(f"the suite wrote no report: {ended.stderr[-1000:]}")
    return parse(report.read_text())


def parse(junit: str) -> Results:
    """The results in a JUnit report."""
    found: dict[str, Counter[str]] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        name = case.attrib["name"].partition("/")[2] or case.attrib["name"]
        status = {"passed": "passed", "skipped": "skipped"}.get(case.attrib["status"], "failed")
        found.setdefault(name, Counter())[status] += 1
    return {name: dict(sorted(counts.items())) for name, counts in found.items()}
