"""The demo as a command."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import adapter
from adapter.sandbox.recordings.images import Image, digest
from tests.services import OUTPUT

COMMAND = [sys.executable, "-m", "adapter", "demo"]


def run(cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **env}
    return subprocess.run(COMMAND, env=variables, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)


def output_until(process: subprocess.Popen[bytes], log: Path, text: str) -> str:
    deadline = time.monotonic() + 100
    while text not in (output := log.read_text()):
        assert process.poll() is None, output
        assert time.monotonic() < deadline, output
        time.sleep(0.1)
    return output


def assert_all_arrived(output: str, images: Mapping[str, Image]) -> None:
    rows = re.findall(r"^(\S+:\S+) +([0-9a-f]{12}) +\d+ +[\d,]+ +[\d.]+ +(\d+)  (.*)$", output, re.MULTILINE)
    assert [(name, result) for name, _, _, result in rows] == [
        ("hello:v2", "copied"),
        ("hello:v1", "copied"),
        ("large:v1", "copied"),
        ("multi:buildkit", "copied, as a Docker manifest list"),
        ("multi:list", "copied"),
        ("hello:v2", "already there"),
        ("hello:v1", "already there"),
        ("multi:buildkit", "already there"),
    ]
    assert all(images[name].digest.startswith(f"sha256:{start}") for name, start, _, _ in rows)
    assert all(int(requests) <= 3 for _, _, requests, result in rows if result == "already there")
    scenes = re.findall(r"^(\w[\w ]+): .+ [\d.]+ +(\d+)  (.*)$", output, re.MULTILINE)
    assert [(title, result) for title, _, result in scenes] == [
        ("pull rule", "120 artifacts on 2 pages; 10 manifests, byte-identical"),
        ("proxy cache", "each blob requested twice; 1 manifest and 6 blobs, byte-identical"),
        ("deletion", "v1b is deleted, v1 of the same digest is kept"),
        ("deletion", "no tag refers to the artifact"),
    ]
    assert all(0 < int(requests) < 20 for _, requests, _ in scenes)
    assert "all images are byte-identical; the OCI index is stored as a Docker manifest list" in output
    assert "never a live SWR" in output


def write_image(folder: Path, image: Image) -> None:
    """Writes the image in the `dir:` layout of skopeo."""
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_bytes(image.manifest)
    for blob in image.blobs:
        (folder / digest(blob).removeprefix("sha256:")).write_bytes(blob)


@pytest.mark.timeout(200)
def test_all_images_arrive_and_a_kept_demo_accepts_another_image(
    tmp_path: Path, recorded_images: Mapping[str, Image]
) -> None:
    """With a setting in the environment that the demo must ignore."""
    log, scratch = OUTPUT / "demo-kept.log", tmp_path / "scratch"
    scratch.mkdir()
    env = {**os.environ, "TMPDIR": str(scratch), "SWR_ADAPTER_CONTRACT_BIND": "127.0.0.1:1"}
    command_line = ["env", "--default-signal=INT", *COMMAND, "--keep"]  # a shell ignores SIGINT in the background
    with log.open("wb") as sink:
        process = subprocess.Popen(command_line, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        output = output_until(process, log, "Logs are in")
        write_image(tmp_path / "image", recorded_images["other:v1"])
        end = output.index("fresh/mine:v1") + len("fresh/mine:v1")
        command = output[output.index("skopeo copy") : end].replace("\\\n", " ")
        command = command.replace("docker://REGISTRY/IMAGE:TAG", f"dir:{tmp_path / 'image'}")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert_all_arrived(output, recorded_images)
    assert "Provider       Harbor\n" in output
    assert list(scratch.iterdir()) == []
    port = int(command.rsplit(":", 2)[1].partition("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2).close()


def test_sigterm_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    log = OUTPUT / "demo-ended.log"
    with log.open("wb") as sink:
        env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(COMMAND, env=env, stdout=sink, stderr=subprocess.STDOUT)
    output_until(process, log, "Recorded traffic")
    (folder,) = tmp_path.iterdir()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.terminate()
    assert process.wait(30) == 143
    assert not folder.exists()
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_difference_is_a_failure(tmp_path: Path) -> None:
    """A skopeo that reads something else."""
    fake = tmp_path / "skopeo"
    fake.write_text('#!/bin/sh\nfor last; do :; done\necho "{}" > "${last#dir:}/manifest.json"\n')
    fake.chmod(0o755)
    done = run(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "the manifest differs" in done.stdout
    assert "DIFFERENCES FOUND" in done.stdout


def test_without_skopeo_the_demo_names_the_package(tmp_path: Path) -> None:
    done = run(PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "skopeo is not installed (needed to read the images back): apt-get install skopeo\n"


def test_without_recordings_the_demo_names_the_checkout(tmp_path: Path) -> None:
    """The container image leaves the recordings out."""
    package = Path(adapter.__file__).parent
    shutil.copytree(package, tmp_path / "adapter", ignore=shutil.ignore_patterns("*.jsonl", "__pycache__"))
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "recording 'push-first' is not installed: run the demo from a source checkout\n"
