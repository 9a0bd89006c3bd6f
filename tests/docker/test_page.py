"""The commands of docs/install-compose.md, run in a folder like that of Harbor's installer.

`docker` is a script that records its arguments. For `docker compose config` it runs docker-compose.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docker.conftest import StartNginx
from tests.docker.nginx import ROOT
from tests.provider.harness import ScriptedCore
from tests.running import running_adapter

PAGE = (ROOT / "docs" / "install-compose.md").read_text()
INSTALLER = Path(__file__).parent / "harbor"
HARBOR = "/opt/harbor"

DOCKER = """#!/bin/sh
echo "docker $*" >> "$CALLS"
case "$1 $2" in "compose config") shift; exec docker-compose "$@";; esac
"""


def commands(heading: str) -> str:
    """The shell commands of a section as one script."""
    [section] = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks, heading
    return "".join(blocks)


class Machine:
    """A machine with an installed Harbor in the folder `harbor`."""

    def __init__(self, folder: Path) -> None:
        self.harbor = folder / "harbor"
        self._bin, self._calls = folder / "bin", folder / "calls"
        shutil.copytree(INSTALLER, self.harbor)
        for each in ("core", "db", "jobservice", "nginx/conf.d", "registryctl"):
            (self.harbor / "common" / "config" / each).mkdir(parents=True)
            (self.harbor / "common" / "config" / each / "env").touch()
        self._bin.mkdir()
        (self._bin / "docker").write_text(DOCKER)
        (self._bin / "docker").chmod(0o755)

    def run(self, script: str) -> list[str]:
        """Runs the script in the checkout. Returns the calls of docker."""
        self._calls.write_text("")
        environ = {"PATH": f"{self._bin}:{os.environ['PATH']}", "CALLS": str(self._calls)}
        done = subprocess.run(
            ["bash", "-euc", "umask 077\n" + script.replace(HARBOR, str(self.harbor))],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return self._calls.read_text().splitlines()

    @property
    def files(self) -> set[str]:
        return {str(each.relative_to(self.harbor)) for each in self.harbor.rglob("*")}

    def mounted(self) -> Path:
        """The file that Docker mounts into nginx. Creates the empty mount point, as Docker does."""
        printed = subprocess.run(["docker-compose", "config"], cwd=self.harbor, capture_output=True, text=True)
        text = str(yaml.safe_load(printed.stdout)["services"]["proxy"]["volumes"])
        [(source, name)] = re.findall(r"(/[^:' ]*/otc-swr/[^:' ]+).*/etc/nginx/conf.d/([^:' ]+)", text)
        (self.harbor / "common" / "config" / "nginx" / "conf.d" / name).touch()
        return Path(source)

    def prepare(self) -> None:
        """Removes and writes what Harbor's `prepare` does (docs/facts/harbor.md C.2)."""
        for file in (self.harbor / "common" / "config").rglob("*"):
            if file.is_file():
                file.unlink()
        for each in ("core", "db", "jobservice", "registryctl"):
            (self.harbor / "common" / "config" / each / "env").touch()
        shutil.copy(INSTALLER / "docker-compose.yml", self.harbor)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


INSTALL = commands("2. Copy the files") + commands("4. Start")


def test_installation(machine: Machine) -> None:
    before = machine.files
    calls = machine.run(INSTALL)
    assert (calls[0], calls[-1]) == ("docker compose config --quiet", "docker compose up -d")
    added = machine.files - before
    assert len(added) == 6
    # nginx is another user, whatever the umask.
    assert all(stat.S_IMODE((machine.harbor / each).stat().st_mode) in {0o644, 0o755} for each in added)
    source = machine.mounted()
    assert source.parent == machine.harbor / "otc-swr"
    assert source.read_text() == (ROOT / "docker" / "compose" / source.name).read_text()
    machine.prepare()
    machine.run(commands("4. Start"))
    assert machine.mounted().is_file()


def test_upgrade_of_harbor_in_a_new_folder(machine: Machine, tmp_path: Path) -> None:
    machine.run(INSTALL)
    machine.harbor.rename(f"{machine.harbor}-old")
    shutil.copytree(INSTALLER, machine.harbor)
    (tmp_path / "harbor-old" / "common").rename(machine.harbor / "common")
    machine.run(commands("Harbor is upgraded"))
    machine.run(commands("4. Start"))
    assert machine.mounted().is_file()


def test_folder_in_place_of_a_file_is_replaced(machine: Machine) -> None:
    machine.run(INSTALL)
    source = machine.mounted()
    placeholder = machine.harbor / "common" / "config" / "nginx" / "conf.d" / source.name
    for each in (source, placeholder):
        each.unlink()
        each.mkdir()
    remove, between, start = commands("A folder in place of a file").partition("docker compose")
    machine.run(remove)
    machine.run(commands("2. Copy the files").splitlines()[1])
    machine.run(f"cd {HARBOR}; {between}{start}")
    assert not placeholder.exists()
    assert source.is_file()


def test_rollback_leaves_nothing(machine: Machine) -> None:
    before = machine.files
    machine.run(INSTALL)
    machine.mounted()
    calls = machine.run(commands("Roll back"))
    assert machine.files == before
    # docker compose finds the container only while a file contains it.
    assert calls.index("docker compose rm --stop --force otc-swr") < calls.index("docker compose up -d")


def test_docker_compose_has_every_command_and_option() -> None:
    called = re.findall(r"docker compose ([a-z]+)((?: --?[a-z-]+)*)", PAGE)
    assert {"config", "down", "exec", "logs", "ps", "rm", "run", "up"} == {command for command, _ in called}
    for wanted in {command for command, _ in called}:
        printed = subprocess.run(["docker-compose", wanted, "--help"], capture_output=True, text=True)
        assert printed.returncode == 0, wanted
        options = {each for command, given in called if command == wanted for each in given.split()}
        assert options <= set(re.findall(r"--?[a-z-]+", printed.stdout)), wanted


def test_only_pages_of_the_adapter_require_encoded_urls(nginx: StartNginx, core: ScriptedCore) -> None:
    with running_adapter({}, harbor_core_url=core.url) as adapter:
        front = nginx(core, int(adapter.provider.rpartition(":")[2]))
        for page, name, expected in (
            ("projects", "~é", b"HTTP/1.1 200 "),
            ("registries", "~%C3%A9", b"HTTP/1.1 200 "),
            ("registries", "~é", b"HTTP/1.1 400 "),
        ):
            with socket.create_connection(("127.0.0.1", front.port), 20) as connection:
                connection.sendall(f"GET /api/v2.0/{page}?q=name={name} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                assert connection.recv(65536).startswith(expected)
    assert "400 for a script" in PAGE
