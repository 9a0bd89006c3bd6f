"""Restricted networks: a CONNECT proxy, with and without a password, and a proxy that decrypts TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.contract.conftest import put_back
from tests.contract.http import LARGE, SMALL, Answer, Door, refused
from tests.credentials import PROJECT
from tests.faults.forwarder import tls_in_front_of
from tests.running import RunningSandbox, running_adapter
from tests.services import answers, free_ports

FAR = "127.0.0.3"
"""Not `127.0.0.1`: requests to it never go to a proxy."""
USER, PASSWORD = "adapter", "proxy-password-canary"


@dataclass(frozen=True)
class Far:
    """SWR with TLS on another host, and the file with the CA of its certificate."""

    regions: dict[str, dict[str, str]]
    ca: Path


@pytest.fixture(scope="module")
def far(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(FAR).configure_cert(context)
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with ExitStack() as stack:
        region = {}
        for name, origin in (("registry", sandbox.registry), ("api", sandbox.api)):
            host, _, port = origin.removeprefix("http://").partition(":")
            address = stack.enter_context(tls_in_front_of((host, int(port)), context, FAR))
            region[name] = f"https://{address[0]}:{address[1]}"
        yield Far({PROJECT: region}, ca)


@dataclass(frozen=True)
class Proxy:
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connects(self) -> int:
        return self.log.read_text().count(f"CONNECT {FAR}")


@contextmanager
def tinyproxy(folder: Path, *lines: str) -> Iterator[Proxy]:
    (port,) = free_ports(1)
    log, configuration = folder / "tinyproxy.log", folder / "tinyproxy.conf"
    usual = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", f'LogFile "{log}"', "LogLevel Info", "Timeout 60"]
    configuration.write_text("\n".join([*usual, *lines, ""]))
    log.touch(mode=0o666)
    folder.chmod(0o755)
    program = shutil.which("tinyproxy", path="/usr/bin:/usr/sbin")
    assert program is not None, "tinyproxy is missing: make test installs it"
    process = subprocess.Popen([program, "-d", "-c", str(configuration)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not answers(port, "/"):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield Proxy(port, log)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def swr(sandbox: RunningSandbox) -> RunningSandbox:
    """Its own addresses are not reachable through the proxy, so responses must not have them."""
    return put_back(sandbox, location="relative", blob_redirect="off")


def push_and_pull(door: Door, swr: RunningSandbox, repository: str) -> None:
    for data in (SMALL, LARGE):
        digest = door.push(repository, data)
        assert swr.store.read_blob(repository, digest) == data
        assert door.ask("GET", f"/v2/{repository}/blobs/{digest}").body == data


def test_through_a_proxy(far: Far, swr: RunningSandbox, repository: str, tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as proxy, running_adapter(far.regions, ca_bundle=far.ca, proxy=proxy.url) as adapter:
        push_and_pull(Door(adapter.contract), swr, repository)
        assert Door(adapter.contract).ask("GET", "/v2/").status == 200
        assert proxy.connects >= 2, "registry and management API are two hosts"


def test_proxy_with_a_password(far: Far, swr: RunningSandbox, repository: str, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, f"BasicAuth {USER} {PASSWORD}") as proxy:
        right = proxy.url.replace("//", f"//{USER}:{PASSWORD}@")
        with running_adapter(far.regions, ca_bundle=far.ca, proxy=right, log_level="debug") as adapter:
            push_and_pull(Door(adapter.contract), swr, repository)
        assert PASSWORD not in adapter.service.output
        with running_adapter(far.regions, ca_bundle=far.ca, proxy=proxy.url) as adapter:
            refused(check(Door(adapter.contract)), 502, "the proxy requires other credentials", "SWR_ADAPTER_PROXY")


def test_environment_variables(
    far: Far, swr: RunningSandbox, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tinyproxy(tmp_path) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with running_adapter(far.regions, ca_bundle=far.ca) as adapter:
            push_and_pull(Door(adapter.contract), swr, repository)
        assert proxy.connects
        before = proxy.connects
        monkeypatch.setenv("NO_PROXY", f"example.com,{FAR}")
        with running_adapter(far.regions, ca_bundle=far.ca) as adapter:
            push_and_pull(Door(adapter.contract), swr, repository)
        assert proxy.connects == before


def test_unknown_certificate(far: Far, swr: RunningSandbox) -> None:
    """As of a proxy that decrypts TLS: the message has the setting for its CA."""
    with running_adapter(far.regions) as adapter:
        refused(check(Door(adapter.contract)), 502, f"certificate of {FAR}", "SWR_ADAPTER_CA_BUNDLE")


def test_unreachable_proxy(far: Far, swr: RunningSandbox) -> None:
    (port,) = free_ports(1)
    with running_adapter(far.regions, ca_bundle=far.ca, proxy=f"http://127.0.0.1:{port}") as adapter:
        refused(check(Door(adapter.contract)), 502, "the proxy did not connect")


def check(door: Door) -> Answer:
    """Harbor's health check, which is retried least."""
    return door.ask("GET", "/v2/", timeout=60.0)
