"""A refusal before the end of a large body reaches the log of Harbor's kind of client, each time and under load.

Go's `net/http` is that client, where there is a compiler; curl behaves alike where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Certificate
from tests.contract.http import Door, digest_of
from tests.credentials import PROJECT, basic
from tests.running import TENANT, RunningSandbox, running_adapter

REFUSALS = 1000
WORKERS = 8
SIZE = 64 << 20
LARGEST = 32 << 20
SENTENCE = "split it into smaller layers"

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


@pytest.fixture(scope="module", params=["plain", "TLS"])
def door(
    request: pytest.FixtureRequest, sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    sandbox.reset()
    sandbox.store.create_organization("team", TENANT)
    regions = {PROJECT: {"registry": sandbox.registry, "api": sandbox.api}}
    settings: dict[str, object] = {"max_layer_bytes": LARGEST}
    context = None
    if request.param == "TLS":
        certificate = Certificate(tmp_path_factory.mktemp("tls"))
        settings |= {"tls_certificate": certificate.chain, "tls_key": certificate.key}
        context = certificate.context
    with running_adapter(regions, **settings) as running:
        yield Door(running.contract, context=context)


@contextmanager
def load(door: Door) -> Iterator[None]:
    """Uploads that go on while the block runs, and are all right."""
    stop = threading.Event()
    done: list[str] = []

    def upload(number: int) -> None:
        while not stop.is_set():
            done.append(door.push(f"team/load{number}", os.urandom(LARGEST // 8)))

    threads = [threading.Thread(target=upload, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(done) >= len(threads)


def with_go(folder: Path, target: str) -> str:
    assert GO is not None
    program = folder / "refusals"
    env = {**os.environ, "GO111MODULE": "off"}
    subprocess.run(
        [GO, "build", "-o", program, Path(__file__).parent / "refusals.go"], env=env, check=True, timeout=110
    )
    words = [target, basic(), str(REFUSALS), str(WORKERS), str(SIZE), SENTENCE]
    return subprocess.run([program, *words], capture_output=True, text=True, check=True, timeout=110).stdout


def with_curl(folder: Path, target: str) -> str:
    """Several processes, each with many transfers in turn."""
    body = folder / "body"
    with body.open("wb") as file:
        file.truncate(SIZE)
    each = ["-sk", "-T", str(body), "-H", f"Authorization: {basic()}", "-H", "Expect:", target]
    command = ["curl", *each]
    for _ in range(REFUSALS // WORKERS - 1):
        command += ["--next", *each]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    read = sum(process.communicate(timeout=110)[0].count(SENTENCE) for process in processes)
    return f"{read} of {REFUSALS}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "client",
    [
        with_curl if GO is None else with_go,
    ],
)
def test_every_refusal_is_read(client: Callable[[Path, str], str], door: Door, tmp_path: Path) -> None:
    location = door.start("team/refused")
    target = f"{door.url}{door.target(location)}?digest={digest_of(b'')}"
    with load(door):
        told = client(tmp_path, target)
    assert told.splitlines()[-1:] == [f"{REFUSALS} of {REFUSALS}"], told[-2000:]
