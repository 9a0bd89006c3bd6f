"""The demo: replays recorded traffic of a stock Harbor through an adapter process into a sandbox process.

Then skopeo, which shares no code with the adapter, reads the images back, and their digests are compared.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from adapter.sandbox import demo_scenes
from adapter.sandbox.accounts import login_key
from adapter.sandbox.demo_images import REPOSITORIES, Row, table
from adapter.sandbox.recording import load
from adapter.sandbox.recordings import NAMES, RecordingMissingError, shipped
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, images
from adapter.sandbox.replay import Replayer, Result
from adapter.sandbox.store import Store

PROJECT: Final = "eu-de"
ACCESS_KEY: Final = "AKEXAMPLE0000000001"
SECRET_KEY: Final = "SKexample0000000000000000000000000000001"  # noqa: S105 - the account of the sandbox and of the recordings
START_TIMEOUT_SECONDS: Final = 30.0
_PORTS: Final = range(10_000, 20_000)
"""Below the ephemeral ports of the kernel, so that no other process gets one before it is used."""

SCENES: Final = (
    *("push-first", "push-large", "push-buildkit-index", "push-docker-list"),
    *("push-unchanged", "push-buildkit-index-unchanged"),
)


class DemoFailed(Exception):
    """The demo cannot run; the message says why."""


@dataclass(frozen=True)
class Environment:
    """The ports of the two processes, the data directory, and the host of the contract listener."""

    registry: int
    api: int
    objects: int
    contract: int
    provider: int
    operations: int
    data: Path
    host: str

    @classmethod
    def on_free_ports(cls, data: Path, host: str) -> Environment:
        """An environment on unused ports; the contract listener listens on `host`."""
        candidates = iter(random.sample(_PORTS, len(_PORTS)))
        free = itertools.islice((port for port in candidates if _is_free(port)), 6)
        registry, api, objects, contract, provider, operations = free
        return cls(registry, api, objects, contract, provider, operations, data, host)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the adapter, as environment variables."""
        hosts = {"registry": f"http://127.0.0.1:{self.registry}", "api": f"http://127.0.0.1:{self.api}"}
        return {
            "SWR_ADAPTER_REGIONS": json.dumps({PROJECT: hosts}),
            "SWR_ADAPTER_CONTRACT_BIND": f"{self.host}:{self.contract}",
            "SWR_ADAPTER_PROVIDER_BIND": f"127.0.0.1:{self.provider}",
            "SWR_ADAPTER_OPERATIONS_BIND": f"127.0.0.1:{self.operations}",
        }

    def sandbox_command(self) -> list[str]:
        """The command of a sandbox with the account of the recordings."""
        # Clients send credentials to every port of a host, so the object store gets another host.
        binds = {"registry": f"127.0.0.1:{self.registry}", "api": f"127.0.0.1:{self.api}"}
        binds["objects"] = f"127.0.0.2:{self.objects}"
        options = [word for name, bind in binds.items() for word in (f"--{name}-bind", bind)]
        account = f"{ACCESS_KEY}:{SECRET_KEY}:{PROJECT}"
        return ["sandbox", "--data", str(self.data / "swr"), "--account", account, *options]

    def request_count(self) -> int:
        """Number of requests that the adapter has sent to SWR so far, object store included."""
        return len(self._control("GET", "journal"))

    def set_knobs(self, **knobs: Any) -> None:
        """Sets knobs of the sandbox."""
        self._control("PUT", "knobs", json.dumps(knobs).encode())

    def _control(self, method: str, path: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, f"/sandbox/{path}", body, {"Content-Type": "application/json"})
            return json.load(connection.getresponse())


@contextlib.contextmanager
def _process(name: str, arguments: list[str], environment: dict[str, str], data: Path, port: int) -> Iterator[None]:
    """Runs `python -m adapter …` until the block ends, with its output in `<name>.log`."""
    log = data / f"{name}.log"
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "adapter", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed(f"the {name} did not start: see its output\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_free(port: int) -> bool:
    """Whether the port is free on all addresses."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class _RowRecorder:
    """Turns the exchanges of a recording into rows; Harbor begins each image with a HEAD of its tag."""

    def __init__(self, environment: Environment, demo_images: dict[str, Image]) -> None:
        self._environment = environment
        self._images = demo_images
        self._started = time.monotonic()
        self._count = 0
        self.rows: list[Row] = []

    def record(self, result: Result) -> None:
        """Adds the result of an exchange to its row."""
        request = result.exchange.request
        if request.method == "HEAD" and (image := self._image_of(request.path)) is not None:
            self.rows.append(image)
        elif self.rows and request.method == "PUT" and "/manifests/" in request.path:
            self.rows[-1].copied = True
        if not self.rows:
            self._started, self._count = time.monotonic(), self._environment.request_count()
            return
        row = self.rows[-1]
        now, count = time.monotonic(), self._environment.request_count()
        row.seconds += now - self._started
        row.requests += count - self._count
        self._started, self._count = now, count
        expected = result.exchange.response.status
        if result.error or result.skipped or result.status != expected:
            problem = result.error or result.skipped or f"{result.status} instead of {expected}"
            row.problem = row.problem or f"{request.method} {request.path}: {problem}"

    def _image_of(self, path: str) -> Row | None:
        repository, _, reference = path.removeprefix("/v2/").partition("/manifests/")
        image = self._images.get(f"{REPOSITORIES.get(repository)}:{reference}")
        return Row(repository, reference, image) if image else None


def _replay(environment: Environment, demo_images: dict[str, Image]) -> list[Row]:
    rows: list[Row] = []
    blobs = Blobs(demo_images.values())
    for scene in SCENES:
        recorder = _RowRecorder(environment, demo_images)
        replayer = Replayer(f"http://127.0.0.1:{environment.contract}", blobs, on_exchange=recorder.record)
        replayer.replay(load(shipped(scene)))
        rows += recorder.rows
    return rows


def _read_back(environment: Environment, row: Row) -> str:
    """How the image in SWR differs; empty if it does not. skopeo verifies the digest of each blob that it reads."""
    with tempfile.TemporaryDirectory(dir=environment.data) as folder:
        source = f"docker://127.0.0.1:{environment.registry}/{row.repository}:{row.reference}"
        credentials = f"{PROJECT}@{ACCESS_KEY}:{login_key(ACCESS_KEY, SECRET_KEY)}"
        options = ["--all", "--src-tls-verify=false", "--src-creds", credentials]
        command = ["skopeo", "copy", "--quiet", *options, source, f"dir:{folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            return f"skopeo cannot read the image: {done.stderr.strip()}"
        return row.difference(Path(folder))


def _print_next(environment: Environment, *, kept: bool) -> None:
    if not kept:
        print("\nNext: run `make demo KEEP=1` to keep it running for your own image or Harbor. README.md explains")
        print("how to set up the adapter for a real SWR.")
        return
    print("\nStill running. Press Ctrl-C to stop. To push an image of your own:\n")
    print("  skopeo copy --dest-tls-verify=false \\")
    print(f"    --dest-creds '{PROJECT}@{ACCESS_KEY}:{SECRET_KEY}' \\")
    print(f"    docker://REGISTRY/IMAGE:TAG docker://127.0.0.1:{environment.contract}/fresh/mine:v1\n")
    print("To use a real Harbor, create an endpoint (Registries > New endpoint) with these values, then a push-based")
    print("rule whose destination namespace is an SWR organization:\n")
    fields = (("Provider", "Harbor"), ("Endpoint URL", f"http://<address of this machine>:{environment.contract}"))
    for name, value in (*fields, ("Access ID", f"{PROJECT}@{ACCESS_KEY}"), ("Access Secret", SECRET_KEY)):
        print(f"  {name:14} {value}")
    print("\nWith a real SWR, enter <regional project name>@<AK> as Access ID (for example eu-de@AK...).")
    print(f"Logs are in {environment.data}.", flush=True)


def _run(environment: Environment, *, keep: bool) -> bool:
    """Runs all scenes and returns whether all results are as expected."""
    names = ("hello:v1", "hello:v2", "large:v1", "multi:list", "multi:buildkit")
    all_images, store = images(), Store(environment.data / "swr")
    demo_images = {name: image for name, image in all_images.items() if name in names}
    demo_scenes.seed(store, all_images)
    print("Recorded traffic of a stock Harbor -> adapter -> simulator of SWR (never a live SWR):")
    rows = _replay(environment, demo_images)
    url = f"http://127.0.0.1:{environment.contract}"
    lines = demo_scenes.run(url, store, all_images, environment.request_count)
    # skopeo does not retry a 503 of the rate limit.
    environment.set_knobs(rate=0)
    for row in rows:
        row.problem = row.problem or _read_back(environment, row)
    print(f"\n{table(rows)}")
    print(f"\n{demo_scenes.table(lines)}")
    expected = {image.digest for image in demo_images.values()}
    identical = not any(row.problem for row in rows) and {row.image.digest for row in rows} >= expected
    summary = "all images are byte-identical; the OCI index is stored as a Docker manifest list."
    print(f"\nRead back from SWR with skopeo: {summary if identical else 'DIFFERENCES FOUND, see the table above.'}")
    _print_next(environment, kept=keep)
    if keep:
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return identical and all(line.good for line in lines)


def _check_installation() -> None:
    """:raises DemoFailed: when skopeo or the recordings are not installed."""
    if shutil.which("skopeo") is None:
        raise DemoFailed("skopeo is not installed (needed to read the images back): apt-get install skopeo")
    try:
        for name in NAMES:
            shipped(name)
    except RecordingMissingError as error:
        raise DemoFailed(str(error)) from None


def run(variables: dict[str, str], *, keep: bool) -> bool:
    """Runs the demo with these environment variables and returns whether all results are as expected.

    :raises DemoFailed: when the demo cannot run.
    """
    _check_installation()
    # A signal must also end the two processes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    inherited = {name: value for name, value in variables.items() if not name.startswith("SWR_ADAPTER_")}
    with tempfile.TemporaryDirectory(prefix="harbor-swr-adapter-demo-") as folder:
        # Only a demo that keeps running must be reachable from a Harbor on another machine.
        environment = Environment.on_free_ports(Path(folder), "0.0.0.0" if keep else "127.0.0.1")
        data, settings = environment.data, inherited | environment.settings
        with (
            _process("sandbox", environment.sandbox_command(), inherited, data, environment.registry),
            _process("adapter", ["serve"], settings, data, environment.contract),
        ):
            return _run(environment, keep=keep)
