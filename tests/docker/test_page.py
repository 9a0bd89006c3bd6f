"""docs/install-compose.md, followed word for word in a folder of the installer's shape.

There is no Docker here: `docker` is a script that notes what it is called with, and has docker-compose read the files
where the page has Docker do so.
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
from tests.docker.servers import Scripted
from tests.running import running_adapter

PAGE = (ROOT / "docs" / "install-compose.md").read_text()
INSTALLER = Path(__file__).parent / "harbor"
HARBOR = "/opt/harbor"

DOCKER = """#!/bin/sh
echo "docker $*" >> "$CALLS"
case "$1 $2" in "compose config") shift; exec docker-compose "$@";; esac
"""


def commands(heading: str) -> str:
    """The shell commands of a section, as one script."""
    [section] = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks, heading
    return "".join(blocks)


class Machine:
    """A machine with an installed Harbor in `harbor`, and the checkout."""

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

    def does(self, script: str) -> list[str]:
        """Runs it in the checkout; returns the calls of docker."""
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
        """What Docker mounts into nginx, and the empty file that it makes for that."""
        printed = subprocess.run(["docker-compose", "config"], cwd=self.harbor, capture_output=True, text=True)
        text = str(yaml.safe_load(printed.stdout)["services"]["proxy"]["volumes"])
        [(source, name)] = re.findall(r"(/[^:' ]*/otc-swr/[^:' ]+).*/etc/nginx/conf.d/([^:' ]+)", text)
        (self.harbor / "common" / "config" / "nginx" / "conf.d" / name).touch()
        return Path(source)

    def prepares(self) -> None:
        """What Harbor's `prepare` takes away and writes anew (docs/facts/harbor.md C.2)."""
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


def test_installed_word_for_word(machine: Machine) -> None:
    before = machine.files
    calls = machine.does(INSTALL)
    assert calls[0] == "docker compose config --quiet"
    assert calls[-1] == "docker compose up -d"
    added = machine.files - before
    assert len(added) == 6
    source = machine.mounted()
    assert source.parent == machine.harbor / "otc-swr"
    # Nginx is another user, whatever the umask of the one who copies.
    assert all(stat.S_IMODE((machine.harbor / each).stat().st_mode) in {0o644, 0o755} for each in added)
    assert source.read_text() == (ROOT / "docker" / "compose" / source.name).read_text()


def test_prepare_leaves_all_of_it(machine: Machine) -> None:
    machine.does(INSTALL)
    machine.mounted()
    machine.prepares()
    machine.does(commands("4. Start"))
    assert machine.mounted().is_file()


def test_a_new_folder_of_harbor_gets_it_too(machine: Machine, tmp_path: Path) -> None:
    machine.does(INSTALL)
    machine.harbor.rename(f"{machine.harbor}-old")
    shutil.copytree(INSTALLER, machine.harbor)
    (tmp_path / "harbor-old" / "common").rename(machine.harbor / "common")
    machine.does(commands("When Harbor or the adapter changes"))
    machine.does(commands("4. Start"))
    assert machine.mounted().is_file()


def test_a_folder_in_place_of_a_file_is_put_right(machine: Machine) -> None:
    machine.does(INSTALL)
    source = machine.mounted()
    placeholder = machine.harbor / "common" / "config" / "nginx" / "conf.d" / source.name
    for each in (source, placeholder):
        each.unlink()
        each.mkdir()
    remove, between, start = commands("A folder in place of a file").partition("docker compose")
    machine.does(remove)
    override = machine.harbor / "docker-compose.override.yml"
    override.write_text(edited := override.read_text().replace("image: ", "image: registry.example.com/"))
    machine.does(commands("2. Copy the files").splitlines()[1])
    assert override.read_text() == edited
    machine.does(f"cd {HARBOR}; {between}{start}")
    assert not placeholder.exists()
    assert source.is_file()


def test_removed_word_for_word(machine: Machine) -> None:
    before = machine.files
    machine.does(INSTALL)
    machine.mounted()
    calls = machine.does(commands("Remove it"))
    assert machine.files == before
    # The container goes while a file still names it.
    assert calls.index("docker compose rm --stop --force otc-swr") < calls.index("docker compose up -d")


def test_docker_compose_has_every_option_of_the_page() -> None:
    called = re.findall(r"docker compose ([a-z]+)((?: --?[a-z-]+)*)", PAGE)
    assert {"config", "down", "exec", "logs", "ps", "rm", "run", "up"} == {command for command, _ in called}
    for wanted in {command for command, _ in called}:
        printed = subprocess.run(["docker-compose", wanted, "--help"], capture_output=True, text=True)
        assert printed.returncode == 0, wanted
        options = {each for command, given in called if command == wanted for each in given.split()}
        assert options <= set(re.findall(r"--?[a-z-]+", printed.stdout)), wanted


@pytest.mark.parametrize("name", ["~é", "~%C3%A9"])
def test_bytes_outside_ascii(name: str, nginx: StartNginx, core: Scripted) -> None:
    """The door wants them encoded, as browsers do; core, on the pages beside ours, does not."""
    with running_adapter({}, harbor_core_url=f"http://127.0.0.1:{core.port}") as adapter:
        running = nginx(core, int(adapter.provider.rpartition(":")[2]))
        answers = {}
        for page in ("registries", "projects"):
            with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
                request = f"GET /api/v2.0/{page}?q=name={name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode())
                answers[page] = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answers["projects"].startswith(b"HTTP/1.1 200 ")
    status, words = (b"200", b"core") if name.isascii() else (b"400", b"")
    assert answers["registries"].startswith(b"HTTP/1.1 " + status)
    assert words in answers["registries"]
    assert "400 before any answer of Harbor" in PAGE
