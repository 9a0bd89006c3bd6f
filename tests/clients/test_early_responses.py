"""An error before the end of a large body reaches a client such as Harbor, each time and under load.

The client is Go's `net/http`, or curl if Go is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Certificate
from tests.contract.http import Door, digest_of
from tests.credentials import PROJECT, basic
from tests.running import TENANT, RunningSandbox, running_adapter

REQUESTS = 400
WORKERS = 8
BODY_BYTES = 64 << 20
MAX_LAYER_BYTES = 32 << 20
MESSAGE = "split it into smaller layers"

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


@pytest.fixture(scope="module", params=["plain", "TLS"])
def door(
    request: pytest.FixtureRequest, sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    regions = {PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}
    settings: dict[str, object] = {"max_layer_bytes": MAX_LAYER_BYTES}
    context = None
    if request.param == "TLS":
        certificate = Certificate(tmp_path_factory.mktemp("tls"))
        settings |= {"tls_certificate": certificate.chain, "tls_key": certificate.key}
        context = certificate.context
    with running_adapter(regions, **settings) as running:
        yield Door(running.contract, context=context)


@contextmanager
def load(door: Door) -> Iterator[None]:
    """Uploads that run during the block and succeed."""
    stop = threading.Event()
    pushed: list[str] = []

    def upload(number: int) -> None:
        while not stop.is_set():
            pushed.append(door.push(f"team/load{number}", os.urandom(MAX_LAYER_BYTES // 8)))

    threads = [threading.Thread(target=upload, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(pushed) >= len(threads)


def with_go(folder: Path, target: str) -> str:
    assert GO is not None
    program = folder / "refusals"
    env = {**os.environ, "GO111MODULE": "off"}
    subprocess.run(
        [GO, "build", "-o", program, Path(__file__).parent / "refusals.go"], env=env, check=True, timeout=110
    )
    words = [target, basic(), str(REQUESTS), str(WORKERS), str(BODY_BYTES), MESSAGE]
    return subprocess.run([program, *words], capture_output=True, text=True, check=True, timeout=110).stdout


def with_curl(folder: Path, target: str) -> str:
    """Several processes, each with many sequential transfers."""
    body = folder / "body"
    with body.open("wb") as file:
        file.truncate(BODY_BYTES)
    each = ["-sk", "-T", str(body), "-H", f"Authorization: {basic()}", "-H", "Expect:", target]
    command = ["curl", *each]
    for _ in range(REQUESTS // WORKERS - 1):
        command += ["--next", *each]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    read = sum(process.communicate(timeout=110)[0].count(MESSAGE) for process in processes)
    return f"{read} of {REQUESTS}"


@pytest.mark.timeout(240)
def test_every_error_is_read(door: Door, tmp_path: Path) -> None:
    client = with_curl if GO is None else with_go
    location = door.start("team/rejected")
    target = f"{door.url}{door.target(location)}?digest={digest_of(b'')}"
    with load(door):
        output = client(tmp_path, target)
    assert output.splitlines()[-1:] == [f"{REQUESTS} of {REQUESTS}"], output[-2000:]
