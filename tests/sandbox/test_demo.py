from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapter.sandbox.recordings.images import images
from tests.services import OUTPUT

COMMAND = [sys.executable, "-m", "adapter", "demo"]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_everything_arrives(tmp_path: Path) -> None:
    """With a setting of the machine's own, which the demo must not take over."""
    done = run(SWR_ADAPTER_CONTRACT_BIND="127.0.0.1:1", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(\S+:\S+) +([0-9a-f]{12}) +\d+ +[\d,]+ +[\d.]+ +(\d+)  (.*)$", done.stdout, re.MULTILINE)
    assert [(name, result) for name, _, _, result in rows] == [
        ("hello:v2", "copied"),
        ("hello:v1", "copied"),
        ("large:v1", "copied"),
        ("multi:buildkit", "copied, as a Docker list"),
        ("multi:list", "copied"),
        ("hello:v2", "already there"),
        ("hello:v1", "already there"),
        ("multi:buildkit", "already there"),
    ]
    scenes = re.findall(r"^(\w[\w ]+): .+ [\d.]+ +(\d+)  (.*)$", done.stdout, re.MULTILINE)
    assert [(what, result) for what, _, result in scenes] == [
        ("pull rule", "120 artifacts on 2 pages; 10 manifests, byte for byte the same"),
        ("proxy cache", "each blob asked for twice; 1 manifest and 6 blobs, byte for byte the same"),
        ("deletion", "v1b is gone, v1 of the same digest is still there"),
        ("deletion", "no tag carries it any more"),
    ]
    assert all(0 < int(requests) < 20 for _, requests, _ in scenes)
    made = images()
    assert all(made[name].digest.startswith(f"sha256:{digest}") for name, digest, _, _ in rows)
    assert all(int(requests) <= 3 for _, _, requests, result in rows if result == "already there")
    assert "every image is byte for byte the same, OCI's index as a Docker list of it" in done.stdout
    assert "never a live SWR" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_skopeo_it_says_what_to_install(tmp_path: Path) -> None:
    done = run(PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "skopeo is missing, which reads the images back: apt-get install skopeo\n"


def test_a_difference_is_a_failure(tmp_path: Path) -> None:
    """A skopeo that reads something else."""
    other = tmp_path / "skopeo"
    other.write_text('#!/bin/sh\nfor last; do :; done\necho "{}" > "${last#dir:}/manifest.json"\n')
    other.chmod(0o755)
    done = run(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "its manifest differs" in done.stdout
    assert "THERE ARE DIFFERENCES" in done.stdout


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_kept_running_it_takes_an_image_of_ones_own(tmp_path: Path, number: signal.Signals, status: int) -> None:
    log, scratch = OUTPUT / f"demo-kept-{number.name}.log", tmp_path / "scratch"
    scratch.mkdir()
    with log.open("wb") as sink:
        env = {**os.environ, "TMPDIR": str(scratch)}
        command_line = ["env", "--default-signal=INT", *COMMAND, "--keep"]  # ignored where the tests run in background
        process = subprocess.Popen(command_line, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 100
        while "Logs are in" not in (text := log.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < until, text
            time.sleep(0.1)
        assert "Provider       Harbor\n" in text
        image = images()["other:v1"]
        folder = tmp_path / "image"
        folder.mkdir()
        (folder / "version").write_text("Directory Transport Version: 1.1\n")
        (folder / "manifest.json").write_bytes(image.manifest)
        for blob in image.blobs:
            (folder / _hex(blob)).write_bytes(blob)
        command = re.sub(
            r"\\\n", " ", text[text.index("skopeo copy") : text.index("fresh/mine:v1") + len("fresh/mine:v1")]
        )
        command = command.replace("docker://REGISTRY/IMAGE:TAG", f"dir:{folder}")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        process.send_signal(number)
        assert process.wait(30) == status
    assert list(scratch.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(command.split(":")[-2].partition("/")[0])), timeout=2).close()


def _hex(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()
