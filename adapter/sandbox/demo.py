"""The main job, shown: sandbox and adapter as processes, the recorded traffic of a stock Harbor between them.

What arrived is read back with skopeo, which shares no code with the adapter, and compared digest by digest.
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

from adapter.credentials import FORM, login_key
from adapter.sandbox import demo_scenes
from adapter.sandbox.demo_rows import REPOSITORIES, Row, table
from adapter.sandbox.player import Player, Result
from adapter.sandbox.recording import load
from adapter.sandbox.recordings import shipped
from adapter.sandbox.recordings.blobs import Blobs
from adapter.sandbox.recordings.images import Image, images
from adapter.sandbox.store import Store

PROJECT: Final = "eu-de"
ACCESS_KEY: Final = "AKEXAMPLE0000000001"
SECRET_KEY: Final = "SKexample0000000000000000000000000000001"  # noqa: S105 - the stand-in's own, in the recordings
STARTED_WITHIN: Final = 30.0
_PORTS: Final = range(10_000, 20_000)
"""Below those that the kernel gives to whoever wants any, so that nobody takes one before it is used."""

SCENES: Final = (
    *("push-first", "push-large", "push-buildkit-index", "push-docker-list"),
    *("push-unchanged", "push-buildkit-index-unchanged"),
)


class DemoFailed(Exception):
    """Something does not work here; the text says what."""


@dataclass(frozen=True)
class Stage:
    """Where the two processes listen, and what the sandbox keeps."""

    registry: int
    api: int
    objects: int
    contract: int
    provider: int
    operations: int
    data: Path
    host: str

    @classmethod
    def free(cls, data: Path, host: str) -> Stage:
        """On ports that nothing uses now; `host` is where the adapter listens."""
        candidates = iter(random.sample(_PORTS, len(_PORTS)))
        free = itertools.islice((port for port in candidates if _is_free(port)), 6)
        registry, api, objects, contract, provider, operations = free
        return cls(registry, api, objects, contract, provider, operations, data, host)

    @property
    def environment(self) -> dict[str, str]:
        """The adapter's settings."""
        hosts = {"registry": f"http://127.0.0.1:{self.registry}", "api": f"http://127.0.0.1:{self.api}"}
        return {
            "SWR_ADAPTER_REGIONS": json.dumps({PROJECT: hosts}),
            "SWR_ADAPTER_CONTRACT_BIND": f"{self.host}:{self.contract}",
            "SWR_ADAPTER_PROVIDER_BIND": f"127.0.0.1:{self.provider}",
            "SWR_ADAPTER_OPERATIONS_BIND": f"127.0.0.1:{self.operations}",
        }

    def sandbox_command(self) -> list[str]:
        """The stand-in, with the account of the recordings."""
        # A client sends its credentials on to the same host name, whatever the port: the object store has another.
        binds = {"registry": f"127.0.0.1:{self.registry}", "api": f"127.0.0.1:{self.api}"}
        binds["objects"] = f"127.0.0.2:{self.objects}"
        options = [word for name, bind in binds.items() for word in (f"--{name}-bind", bind)]
        account = f"{ACCESS_KEY}:{SECRET_KEY}:{PROJECT}"
        return ["sandbox", "--data", str(self.data / "swr"), "--account", account, *options]

    def spent(self) -> int:
        """Requests that the adapter has sent to SWR so far, the object store included."""
        return len(self._control("GET", "journal"))

    def set_knobs(self, **knobs: Any) -> None:
        """Changes how the stand-in behaves."""
        self._control("PUT", "knobs", json.dumps(knobs).encode())

    def _control(self, method: str, path: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, f"/sandbox/{path}", body, {"Content-Type": "application/json"})
            return json.load(connection.getresponse())


@contextlib.contextmanager
def _process(name: str, arguments: list[str], environment: dict[str, str], data: Path, port: int) -> Iterator[None]:
    """`python -m adapter …` until the block ends; its output is in `<name>.log`."""
    log = data / f"{name}.log"
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "adapter", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        until = time.monotonic() + STARTED_WITHIN
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise DemoFailed(f"the {name} did not start:\n{log.read_text()}")
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
    """On any address: the sandbox's object store has one of its own."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class _Watcher:
    """Turns the exchanges of a recording into rows: Harbor begins each image with a HEAD of its tag."""

    def __init__(self, stage: Stage, known: dict[str, Image]) -> None:
        self._stage = stage
        self._known = known
        self._begun = time.monotonic()
        self._spent = 0
        self.rows: list[Row] = []

    def seen(self, result: Result) -> None:
        """Called after each exchange."""
        request = result.exchange.request
        if request.method == "HEAD" and (image := self._image_of(request.path)) is not None:
            self.rows.append(image)
        elif self.rows and request.method == "PUT" and "/manifests/" in request.path:
            self.rows[-1].copied = True
        if not self.rows:
            self._begun, self._spent = time.monotonic(), self._stage.spent()
            return
        row = self.rows[-1]
        now, spent = time.monotonic(), self._stage.spent()
        row.seconds += now - self._begun
        row.requests += spent - self._spent
        self._begun, self._spent = now, spent
        if result.error or result.skipped or result.status != result.exchange.answer.status:
            wrong = result.error or result.skipped or f"{result.status} instead of {result.exchange.answer.status}"
            row.problem = row.problem or f"{request.method} {request.path}: {wrong}"

    def _image_of(self, path: str) -> Row | None:
        repository, _, reference = path.removeprefix("/v2/").partition("/manifests/")
        image = self._known.get(f"{REPOSITORIES.get(repository)}:{reference}")
        return Row(repository, reference, image) if image else None


def _play(stage: Stage, known: dict[str, Image]) -> list[Row]:
    rows: list[Row] = []
    blobs = Blobs(known.values())
    for scene in SCENES:
        watcher = _Watcher(stage, known)
        player = Player(f"http://127.0.0.1:{stage.contract}", blobs, on_exchange=watcher.seen)
        player.play(load(shipped(scene)))
        rows += watcher.rows
    return rows


def _read_back(stage: Stage, row: Row) -> str:
    """What is wrong with the image in SWR, or nothing. skopeo checks the digest of each blob that it reads."""
    with tempfile.TemporaryDirectory(dir=stage.data) as folder:
        source = f"docker://127.0.0.1:{stage.registry}/{row.repository}:{row.reference}"
        credentials = f"{PROJECT}@{ACCESS_KEY}:{login_key(ACCESS_KEY, SECRET_KEY)}"
        options = ["--all", "--src-tls-verify=false", "--src-creds", credentials]
        command = ["skopeo", "copy", "--quiet", *options, source, f"dir:{folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            return f"skopeo cannot read it: {done.stderr.strip()}"
        return row.differs(Path(folder))


def _print_next(stage: Stage, *, kept: bool) -> None:
    if not kept:
        print(
            "\nNext: `make demo KEEP=1` leaves it running, for an image or a Harbor of your own; README.md says how to"
        )
        print("set up the adapter for a real SWR.")
        return
    print("\nStill running; Ctrl-C ends it. An image of your own:\n")
    print("  skopeo copy --dest-tls-verify=false \\")
    print(f"    --dest-creds '{PROJECT}@{ACCESS_KEY}:{SECRET_KEY}' \\")
    print(f"    docker://REGISTRY/IMAGE:TAG docker://127.0.0.1:{stage.contract}/fresh/mine:v1\n")
    print("A real Harbor: Registries > New endpoint, then a push-based rule with an organization as its namespace:\n")
    fields = (("Provider", "Harbor"), ("Endpoint URL", f"http://<address of this machine>:{stage.contract}"))
    for name, value in (*fields, ("Access ID", f"{PROJECT}@{ACCESS_KEY}"), ("Access Secret", SECRET_KEY)):
        print(f"  {name:14} {value}")
    print(f"\nWith an SWR of your own you would {FORM}. Logs are in {stage.data}.", flush=True)


def _act(stage: Stage, *, keep: bool) -> bool:
    """Whether everything arrived as it was."""
    names = ("hello:v1", "hello:v2", "large:v1", "multi:list", "multi:buildkit")
    every, store = images(), Store(stage.data / "swr")
    known = {name: image for name, image in every.items() if name in names}
    demo_scenes.seed(store, every)
    print("A stock Harbor's recorded traffic -> adapter -> stand-in for SWR (never a live SWR):")
    rows = _play(stage, known)
    lines = demo_scenes.play(f"http://127.0.0.1:{stage.contract}", store, every, stage.spent)
    # skopeo gives up at once where SWR throttles.
    stage.set_knobs(rate=0)
    for row in rows:
        row.problem = row.problem or _read_back(stage, row)
    print(f"\n{table(rows)}")
    print(f"\n{demo_scenes.table(lines)}")
    good = not any(row.problem for row in rows) and {row.image.digest for row in rows} >= {
        image.digest for image in known.values()
    }
    print(
        "\nRead back from SWR with skopeo: "
        + (
            "every image is byte for byte the same, OCI's index as a Docker list of it."
            if good
            else "THERE ARE DIFFERENCES."
        )
    )
    good = good and all(line.good for line in lines)
    _print_next(stage, kept=keep)
    if keep:
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return good


def run(environment: dict[str, str], *, keep: bool) -> bool:
    """Plays the demo and says whether all is right. Raises `DemoFailed` when it cannot be played."""
    if shutil.which("skopeo") is None:
        raise DemoFailed("skopeo is missing, which reads the images back: apt-get install skopeo")
    # However it is ended, no process is left behind.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    inherited = {name: value for name, value in environment.items() if not name.startswith("SWR_ADAPTER_")}
    with tempfile.TemporaryDirectory(prefix="harbor-swr-adapter-demo-") as folder:
        # Only a demo that stays is for a Harbor elsewhere.
        stage = Stage.free(Path(folder), "0.0.0.0" if keep else "127.0.0.1")
        with (
            _process("sandbox", stage.sandbox_command(), inherited, stage.data, stage.registry),
            _process("adapter", ["serve"], inherited | stage.environment, stage.data, stage.contract),
        ):
            return _act(stage, keep=keep)
