"""The text of the Dockerfile, and the health check. `make image` builds and starts the image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

import adapter
from adapter import settings
from tests.docker.nginx import ROOT
from tests.provider.harness import ScriptedCore
from tests.services import free_ports

DOCKER = ROOT / "docker"


def instructions(stage: int) -> list[tuple[str, str]]:
    """Instructions of a stage of the Dockerfile; 0 are those before the first."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    words = [(line.split(None, 1)[0], re.sub(r"\s+", " ", line.split(None, 1)[1])) for line in lines if line.strip()]
    starts = [0, *(number for number, (word, _) in enumerate(words) if word == "FROM"), len(words)]
    return words[starts[stage] : starts[stage + 1]]


LAST = instructions(2)


def value(name: str, stage: list[tuple[str, str]] = LAST) -> str:
    """The arguments of the only instruction with that name."""
    [found] = [rest for word, rest in stage if word == name]
    return found


def test_both_stages_use_the_pinned_debian() -> None:
    assert instructions(0) == [("ARG", value("ARG", instructions(0)))]
    base = value("ARG", instructions(0)).removeprefix("BASE=")
    assert re.fullmatch(r"debian:[a-z]+-slim@sha256:[0-9a-f]{64}", base)
    assert value("FROM", instructions(1)) == "${BASE} AS build"
    assert value("FROM") == "${BASE}"


def test_last_stage_runs_as_a_user_without_compiler_and_pip() -> None:
    assert all(int(number) >= 10000 for number in value("USER").split(":"))
    installed = re.findall(r"apt-get install --yes --no-install-recommends ([^&]+) &&", value("RUN"))
    assert [each.split() for each in installed] == [["ca-certificates", "python3"]]
    assert value("COPY") == "--from=build /opt/adapter /opt/adapter"


def test_installed_packages_are_locked_by_hash() -> None:
    commands = " ".join(rest for word, rest in instructions(1) if word == "RUN")
    first, *rest = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) [^&]+", commands)
    assert "--require-hashes -r requirements.lock" in first
    assert "--only-binary :all:" in first
    assert all("--no-deps" in each for each in rest)


def test_image_serves_until_sigterm() -> None:
    assert value("STOPSIGNAL") == "SIGTERM"
    assert json.loads(value("ENTRYPOINT")) == ["/opt/adapter/bin/harbor-swr-adapter"]
    assert json.loads(value("CMD")) == ["serve"]
    ports = {bind.port for name, bind in vars(settings.load({})).items() if name.endswith("_bind")}
    assert set(map(int, value("EXPOSE").split())) == ports


def test_labels_agree_with_the_project() -> None:
    [text] = [rest for word, rest in LAST if word == "LABEL"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))
    project = (ROOT / "pyproject.toml").read_text()
    assert f'name = "{labels.pop("title")}"' in project
    assert f'description = "{labels.pop("description")}"' in project
    assert f'license = "{labels.pop("licenses")}"' in project
    assert labels == {"version": "${VERSION}"}
    assert ("ARG", f"VERSION={adapter.__version__}") in LAST


def test_no_file_contains_a_server_name() -> None:
    files = [each for each in DOCKER.rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    assert len(files) >= 9
    hosts = {host for each in files for host in re.findall(r"https?://([\w.-]+)", each.read_text())}
    assert hosts == {"core", "otc-swr.internal", "proxy.example.com"}


def test_build_context_has_only_what_is_copied() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for word, rest in instructions(1) if word == "COPY" for source in rest.split()[:-1]}
    assert copied == kept
    assert all((ROOT / each).exists() for each in kept)


def test_script_reads_the_name_of_the_base() -> None:
    """`make image` builds the base on this machine, without its digest."""
    script = DOCKER / "image.sh"
    [line] = re.findall(r"^base=.*$", script.read_text(), re.MULTILINE)
    command = f'dockerfile={DOCKER / "Dockerfile"}; {line}; echo "$base"'
    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert value("ARG", instructions(0)).startswith(f"BASE={printed}@sha256:")
    assert '--build-arg BASE="$base"' in script.read_text()
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("host", "status", "expected"), [("127.0.0.1", 200, 0), ("0.0.0.0", 200, 0), ("0.0.0.0", 503, 1)]
)
def test_health_check(host: str, status: int, expected: int, core: ScriptedCore) -> None:
    core.returns(b"", status)
    assert health_check(f"{host}:{core.port}") == expected
    assert core.lines == ["GET /probe/healthy"]


def test_health_check_fails_without_a_connection() -> None:
    assert health_check(f"127.0.0.1:{free_ports(1)[0]}") == 1


def health_check(bind: str) -> int:
    """The exit status."""
    environ = {"HTTP_PROXY": "http://127.0.0.1:9", "SWR_ADAPTER_OPERATIONS_BIND": bind}
    return subprocess.run([sys.executable, str(DOCKER / "healthy.py")], env=environ, capture_output=True).returncode
