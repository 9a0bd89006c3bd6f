"""The processes of a benchmark: two sinks, nginx, and an adapter for each configuration."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.beside import Nginx, running_nginx
from tests.bench.curl import Curl
from tests.bench.load import BenchError, Ends, Load, Target
from tests.certificates import Certificate
from tests.credentials import PROJECT
from tests.running import RunningAdapter, running_adapter


@dataclass(frozen=True)
class Way:
    """A process between client and sink; `pid` is its first process, None for a direct connection."""

    target: Target
    pid: int | None


@dataclass(frozen=True)
class Setting:
    """Configuration of the adapter or nginx: TLS to the sink, TLS to the client, verification of SHA-256."""

    upstream_tls: bool
    door_tls: bool = False
    verify: bool = False


def ends(*, curl: bool) -> Ends:
    """The faster client and sink that this machine can build.

    :raises BenchError: this machine cannot build one.
    """
    try:
        return Curl() if curl else Load()
    except BenchError as reason:
        if curl:
            raise
        print(f"bench: {reason}: using curl and nginx instead", file=sys.stderr)
        return Curl()


@dataclass
class Environment:
    """A context manager; processes start at their first use and end with the block."""

    folder: Path
    ends: Ends
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _adapters: dict[Setting, RunningAdapter] = field(default_factory=dict)

    def __enter__(self) -> Environment:
        with contextlib.ExitStack() as stack:
            stack.callback(self.ends.close)
            self.certificate = Certificate(self.folder)
            self.plain_sink = stack.enter_context(self.ends.sink(None))
            self.tls_sink = stack.enter_context(self.ends.sink(self.certificate))
            self.nginx: Nginx = stack.enter_context(
                running_nginx(self.folder, self.certificate, self.plain_sink, self.tls_sink)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def adapter(self, setting: Setting) -> Way:
        """The way through the adapter."""
        running = self.running(setting)
        port = int(running.contract.rpartition(":")[2])
        return Way(Target(port, setting.door_tls), running.service.process.pid)

    def running(self, setting: Setting) -> RunningAdapter:
        """The adapter in front of the sink, started once for each setting."""
        if setting not in self._adapters:
            self._adapters[setting] = self._stack.enter_context(self.fresh(setting))
        return self._adapters[setting]

    @contextlib.contextmanager
    def fresh(self, setting: Setting) -> Iterator[RunningAdapter]:
        """A new adapter without earlier requests."""
        scheme, port = ("https", self.tls_sink) if setting.upstream_tls else ("http", self.plain_sink)
        origin = f"{scheme}://127.0.0.1:{port}"
        values: dict[str, object] = {"verify_uploads": setting.verify, "log_level": "warning"}
        if setting.upstream_tls:
            values["ca_bundle"] = self.certificate.authority
        if setting.door_tls:
            values |= {"tls_certificate": self.certificate.chain, "tls_key": self.certificate.key}
        with running_adapter({PROJECT: {"registry": origin, "api": origin}}, **values) as adapter:
            yield adapter

    def beside(self, setting: Setting) -> Way:
        """The way through nginx."""
        port = self.nginx.door if setting.door_tls else self.nginx.tls if setting.upstream_tls else self.nginx.plain
        return Way(Target(port, setting.door_tls), self.nginx.pid)

    def direct(self, setting: Setting) -> Way:
        """The direct way from client to sink."""
        port = self.tls_sink if setting.upstream_tls else self.plain_sink
        return Way(Target(port, setting.upstream_tls), None)
