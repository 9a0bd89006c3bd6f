"""Debian's nginx, configured as Harbor's installer does (docs/facts/harbor.md C.1), with the adapter's include."""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.services import answers, free_ports

ROOT = Path(__file__).parent.parent.parent
INCLUDES = ROOT / "docker" / "compose"
ADAPTER = "otc-swr.internal:8081"
DNS = "127.0.0.11"
TIMEOUT = "proxy_read_timeout 60s;"

CONFIGURATION = (Path(__file__).parent / "harbor" / "nginx.conf").read_text()

PROXY = """proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $x_forwarded_proto;
      proxy_buffering off;
      proxy_request_buffering off;
"""

CORE_TLS = """
      proxy_ssl_certificate /etc/harbor/tls/proxy.crt;
      proxy_ssl_certificate_key /etc/harbor/tls/proxy.key;
      proxy_ssl_trusted_certificate /harbor_cust_cert/harbor_internal_ca.crt;
      proxy_ssl_verify_depth 2;
      proxy_ssl_verify on;
      proxy_ssl_session_reuse on;
"""

LISTEN = {
    "http": "listen 127.0.0.1:@PORT@;",
    "https": """listen 127.0.0.1:@PORT@ ssl;
    listen 127.0.0.1:@PLAIN@;
    ssl_certificate @FOLDER@/server.crt;
    ssl_certificate_key @FOLDER@/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    add_header Strict-Transport-Security "max-age=31536000; includeSubdomains; preload";""",
}


@dataclass(frozen=True)
class Variant:
    """One of the four includes of the adapter."""

    scheme: str
    internal_tls: bool = False

    @property
    def include(self) -> Path:
        return INCLUDES / f"harbor.{self.scheme}.otc-swr{'-internal-tls' if self.internal_tls else ''}.conf"

    def __str__(self) -> str:
        return self.include.stem


VARIANTS = [Variant("http"), Variant("https"), Variant("http", True), Variant("https", True)]


@dataclass(frozen=True)
class Nginx:
    """A running nginx. `ca` is its CA if `url` is https."""

    url: str
    port: int
    ca: Path | None
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "error.log").read_text()


def certificates(folder: Path, name: str, *hosts: str) -> trustme.CA:
    """`<name>-ca.crt`, `<name>.crt` and `<name>.key` in `folder`."""
    ca = trustme.CA()
    issued = ca.issue_cert(*hosts)
    ca.cert_pem.write_to_path(str(folder / f"{name}-ca.crt"))
    issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    (folder / f"{name}.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return ca


def internal_tls_files(folder: Path) -> Path:
    """Creates the files of Harbor's internal TLS, of core and of nginx, in `folder`."""
    for name in ("core", "proxy"):
        certificates(folder, name, name, "127.0.0.1")
    return folder


def core_tls(internal: Path, verify_mode: ssl.VerifyMode) -> ssl.SSLContext:
    """The TLS of a core that requests client certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(internal / "core.crt", internal / "core.key")
    context.load_verify_locations(internal / "proxy-ca.crt")
    context.verify_mode = verify_mode
    return context


def _text(variant: Variant, folder: Path, port: int, plain: int, core: int) -> str:
    https = variant.scheme == "https"
    proxy = PROXY + (CORE_TLS if variant.internal_tls else "") + ('proxy_cookie_path / "/; Secure";' if https else "")
    # As another user, the workers of nginx could not read the folder.
    user = f"user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};" if os.geteuid() == 0 else ""
    values = {"USER": user, "LISTEN": LISTEN[variant.scheme], "PROXY": proxy, "SCHEME": variant.scheme}
    values |= {"CORE_SCHEME": "https" if variant.internal_tls else "http", "CORE": str(core), "FOLDER": str(folder)}
    values |= {"PORT": str(port), "PLAIN": str(plain)}
    text = CONFIGURATION.split("\n", 1)[1]
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _placed(text: str, folder: Path, internal: Path | None) -> str:
    """With the paths of the files of Harbor's internal TLS replaced."""
    if internal is None:
        return text
    text = text.replace("/etc/harbor/tls/proxy.", f"{internal}/proxy.")
    return text.replace("/harbor_cust_cert/harbor_internal_ca.crt", f"{internal}/core-ca.crt")


@contextlib.contextmanager
def running_nginx(
    variant: Variant,
    *,
    core: int,
    adapter: int | str,
    dns: int | None = None,
    internal: Path | None = None,
    timeout: str | None = None,
) -> Iterator[Nginx]:
    """nginx in front of Harbor core on port `core`, with the include for the adapter, until the block ends.

    `adapter` is a port of the loopback interface, or host:port. nginx resolves that host by the name server on port
    `dns`. `internal` is the folder of `internal_tls_files`. `timeout` replaces that of the include.
    """
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        (folder / "conf.d").mkdir()
        certificates(folder, "server", "localhost", "127.0.0.1")
        port, plain = free_ports(2)
        text = _text(variant, folder, port, plain, core)
        (folder / "nginx.conf").write_text(_placed(text, folder, internal))
        include = variant.include.read_text()
        assert include.count(ADAPTER) == include.count(DNS) == include.count(TIMEOUT) == 1
        include = include.replace(TIMEOUT, f"proxy_read_timeout {timeout};" if timeout else TIMEOUT)
        include = include.replace(ADAPTER, f"127.0.0.1:{adapter}" if isinstance(adapter, int) else adapter)
        include = include.replace(DNS, f"127.0.0.1:{dns or free_ports(1)[0]}")
        mounted = folder / "conf.d" / f"harbor.{variant.scheme}.otc-swr.conf"
        mounted.write_text(_placed(include, folder, internal))
        https = variant.scheme == "https"
        with _started(folder, plain if https else port):
            ca = folder / "server-ca.crt" if https else None
            yield Nginx(f"{variant.scheme}://localhost:{port}", port, ca, folder)


@contextlib.contextmanager
def _started(folder: Path, port: int) -> Iterator[None]:
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    with (folder / "error.log").open("wb") as sink:
        process = subprocess.Popen(command, stderr=sink, env=environ)
    try:
        until = time.monotonic() + 20
        while not answers(port, "/ready"):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"nginx did not start:\n{(folder / 'error.log').read_text()}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)
