"""The Dockerfile, by its text, and the health check, by running it. `make image` builds the image and starts it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import adapter
from adapter import settings
from tests.docker.nginx import ROOT
from tests.docker.servers import Answer, Scripted, scripted
from tests.services import free_ports

DOCKER = ROOT / "docker"


def instructions(stage: int) -> list[tuple[str, str]]:
    """Instructions of a stage of the Dockerfile; 0 is what stands before the first."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    words = [(line.split(None, 1)[0], re.sub(r"\s+", " ", line.split(None, 1)[1])) for line in lines if line.strip()]
    starts = [0, *(number for number, (word, _) in enumerate(words) if word == "FROM"), len(words)]
    return words[starts[stage] : starts[stage + 1]]


LAST = instructions(2)


def value(name: str, stage: list[tuple[str, str]] = LAST) -> str:
    """What the only instruction of that name says."""
    [found] = [rest for word, rest in stage if word == name]
    return found


def test_two_stages_on_the_same_plain_debian() -> None:
    assert instructions(0) == [("ARG", value("ARG", instructions(0)))]
    base = value("ARG", instructions(0)).removeprefix("BASE=")
    assert re.fullmatch(r"debian:[a-z]+-slim@sha256:[0-9a-f]{64}", base)
    assert value("FROM", instructions(1)) == "${BASE} AS build"
    assert value("FROM") == "${BASE}"


def test_it_runs_as_a_fixed_user_that_is_not_root() -> None:
    uid, gid = value("USER").split(":")
    assert int(uid) >= 10000
    assert int(gid) >= 10000


def test_the_last_stage_has_no_compiler_and_no_pip() -> None:
    installed = re.findall(r"apt-get install --yes --no-install-recommends ([^&]+) &&", value("RUN"))
    assert [each.split() for each in installed] == [["ca-certificates", "python3"]]
    assert value("COPY") == "--from=build /opt/adapter /opt/adapter"


def test_what_is_installed_is_locked_by_hash() -> None:
    commands = " ".join(rest for word, rest in instructions(1) if word == "RUN")
    first, *rest = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) [^&]+", commands)
    assert "--require-hashes -r requirements.lock" in first
    assert "--only-binary :all:" in first
    assert all("--no-deps" in each for each in rest)


def test_it_ends_at_sigterm_and_serves() -> None:
    assert value("STOPSIGNAL") == "SIGTERM"
    assert json.loads(value("ENTRYPOINT")) == ["/opt/adapter/bin/harbor-swr-adapter"]
    assert json.loads(value("CMD")) == ["serve"]
    ports = {bind.port for name, bind in vars(settings.load({})).items() if name.endswith("_bind")}
    assert set(map(int, value("EXPOSE").split())) == ports


def test_its_labels_are_true() -> None:
    [text] = [rest for word, rest in LAST if word == "LABEL"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))
    project = (ROOT / "pyproject.toml").read_text()
    assert f'name = "{labels.pop("title")}"' in project
    assert f'description = "{labels.pop("description")}"' in project
    assert f'license = "{labels.pop("licenses")}"' in project
    assert labels == {"version": "${VERSION}"}
    assert ("ARG", f"VERSION={adapter.__version__}") in LAST


def test_no_file_names_a_server() -> None:
    files = [each for each in DOCKER.rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    assert len(files) >= 9
    hosts = {host for each in files for host in re.findall(r"https?://([\w.-]+)", each.read_text())}
    assert hosts == {"core", "otc-swr.internal", "proxy.example.com"}


def test_the_context_has_what_is_copied() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for word, rest in instructions(1) if word == "COPY" for source in rest.split()[:-1]}
    assert copied == kept
    assert all((ROOT / each).exists() for each in kept)


def test_without_a_registry_the_base_has_the_same_name() -> None:
    """`make image` makes it on this machine, under the name alone."""
    text = (DOCKER / "image.sh").read_text()
    [read] = re.findall(r"^base=.*$", text, re.MULTILINE)
    command = f'dockerfile={DOCKER / "Dockerfile"}; {read}; echo "$base"'
    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert value("ARG", instructions(0)).startswith(f"BASE={printed}@sha256:")
    assert '--build-arg BASE="$base"' in text


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


# The health check


@pytest.fixture
def operations() -> Iterator[Scripted]:
    with scripted("operations") as running:
        yield running


def healthy(**environ: str) -> int:
    """What the health check ends with, in an environment of its own."""
    command = [sys.executable, str(DOCKER / "healthy.py")]
    return subprocess.run(command, env={"HTTP_PROXY": "http://127.0.0.1:9", **environ}, capture_output=True).returncode


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_health_check_asks_the_operations_door(host: str, operations: Scripted) -> None:
    assert healthy(SWR_ADAPTER_OPERATIONS_BIND=f"{host}:{operations.port}") == 0
    assert operations.methods() == ["GET /probe/healthy"]


def test_the_health_check_knows_what_is_not_healthy(operations: Scripted) -> None:
    operations.script = lambda _: Answer(503)
    assert healthy(SWR_ADAPTER_OPERATIONS_BIND=f"127.0.0.1:{operations.port}") == 1
    assert len(operations.seen) == 1
    assert healthy(SWR_ADAPTER_OPERATIONS_BIND=f"127.0.0.1:{free_ports(1)[0]}") == 1
