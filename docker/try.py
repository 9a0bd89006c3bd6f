"""Starts the image that is mounted at ROOT as a container runtime would, and tests it.

`docker/image.sh` runs it as root in separate namespaces: `try.py ROOT IMAGE.json`.
"""

# ruff: noqa: S108, S603, S607, T201 - a command-line tool that calls Debian's tools with constant arguments

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 30.0
"""For the start and for the stop."""
DEVICES = ("null", "random", "urandom", "zero")
UNWANTED = (  # in the last stage
    "bin/pip",
    "bin/pip3",
    "usr/bin/cc",
    "usr/bin/gcc",
    "usr/bin/pip3",
    "opt/adapter/bin/pip",
    "mnt/pip.conf",
    "source",
)


class CheckFailed(Exception):
    """The image does not pass a check."""


def check(passed: bool, expected: str) -> None:
    print(f"{'ok' if passed else 'FAILED'}: {expected}", flush=True)
    if not passed:
        raise CheckFailed(expected)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def prepare(root: Path) -> None:
    """Mounts a read-only root, /tmp in memory, /proc, and the devices of every container runtime."""
    mount("--make-rprivate", "/")
    mount("--bind", str(root), str(root))
    mount("-t", "tmpfs", "-o", "mode=755", "dev", str(root / "dev"))
    for name in DEVICES:
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", str(root / "dev" / name))
    mount("-t", "proc", "proc", str(root / "proc"))
    mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmp", str(root / "tmp"))
    mount("-o", "remount,bind,ro", str(root))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Container:
    """Runs commands in the image as the user of the image."""

    def __init__(self, root: Path, config: Mapping[str, Any]) -> None:
        uid, _, gid = config["User"].partition(":")
        # chroot needs a capability, so it comes first. setpriv is a program of the image.
        self._inside = ["chroot", str(root), "setpriv", "--reuid", uid, "--regid", gid, "--clear-groups"]
        self._inside += ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        self._environ = dict(each.split("=", 1) for each in config["Env"])

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._inside, *command], env=self._environ)

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._inside, *command], env=self._environ, capture_output=True, text=True)


def check_config(config: Mapping[str, Any]) -> None:
    uid = config["User"].partition(":")[0]
    check(uid.isdecimal() and int(uid) >= 10000, f"user {config['User']} is not root")
    check(config["StopSignal"] == "SIGTERM", "the stop signal is SIGTERM")
    check(set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp", "8082/tcp"}, "it exposes three ports")
    check(config["Healthcheck"]["Test"][0] == "CMD", "the health check needs no shell")
    check(
        not [each for each in config["Env"] if each.startswith("PIP")],
        "the environment contains no setting of this machine",
    )


def check_files(root: Path) -> None:
    left = [each for each in UNWANTED if (root / each).exists()]
    check(not left, f"no pip, no compiler, no files of the build {left or ''}")


def check_process(proc: Path, uid: int) -> None:
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    check(status["Uid"].split() == [str(uid)] * 4, f"it runs as {uid}")
    check(int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, "it has no capability, and cannot get one")


def check_health(container: Container, process: subprocess.Popen[bytes], probe: Sequence[str]) -> None:
    began = time.monotonic()
    while (response := container.run(probe)).returncode:
        if process.poll() is not None or time.monotonic() - began > TIMEOUT_SECONDS:
            raise CheckFailed(f"the health check fails: {response.stderr}")
        time.sleep(0.1)
    check(True, f"the health check passes, {time.monotonic() - began:.1f} s after the start")


def check_read_only(container: Container) -> None:
    tried = [f"import pathlib; pathlib.Path('{path}').write_text('x')" for path in ("/x", "/opt/adapter/x", "/tmp/x")]
    results = [container.run(["/opt/adapter/bin/python", "-c", code]) for code in tried]
    check(["Read-only file system" in each.stderr for each in results] == [True, True, False], "the root is read-only")
    check(results[2].returncode == 0, "/tmp is writable")


def main(root: Path, config: Mapping[str, Any]) -> None:
    check_config(config)
    check_files(root)
    prepare(root)
    container = Container(root, config)
    command, probe = [*config["Entrypoint"], *config["Cmd"]], config["Healthcheck"]["Test"][1:]
    check(container.run(probe).returncode == 1, "the health check fails while the adapter does not run")
    check_read_only(container)
    process = container.start(command)
    check_health(container, process, probe)
    check_process(root / "proc" / str(process.pid), int(config["User"].partition(":")[0]))
    process.send_signal(signal.Signals[config["StopSignal"]])
    check(process.wait(TIMEOUT_SECONDS) == 0, "it exits with 0 after its stop signal")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())["Docker"]["config"])
    except CheckFailed as failed:
        sys.exit(f"image check failed: {failed}")
