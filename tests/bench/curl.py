"""Client and sink without a C compiler: curl and nginx.

They are slower than `load.c`, so throughput ratios look better for the slower side.

The sink writes bodies to one file in memory, because nginx cannot discard a body before its response; blobs to
download are sparse files.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.beside import COMMON
from tests.bench.load import MAX_SAMPLE_SECONDS, BenchError, Target, started
from tests.certificates import Certificate
from tests.services import free_ports

MEMORY = Path("/dev/shm")

SINK = (
    """
{user}
worker_processes auto;
pid {folder}/sink.pid;
daemon off;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
"""
    + COMMON
    + """  keepalive_requests 100000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  {certificate}
  server {{
    listen 127.0.0.1:{port}{ssl};
    location /swr/auth/ {{
      default_type application/json;
      return 200 '{{"token":"bench","expires_in":3600}}';
    }}
    location ~ /manifests/ {{
      default_type application/vnd.oci.image.manifest.v1+json;
      add_header Docker-Content-Digest sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f;
      return 200 '{{"schemaVersion":2}}';
    }}
    location ~ /blobs/uploads/$ {{
      add_header Location "$uri$request_id" always;
      return 202 "";
    }}
    location ~ /blobs/uploads/(.+) {{
      dav_methods PUT;
      alias {folder}/uploads/$1;
    }}
    location ~ ^/v2/bench/s([0-9]+)/blobs/ {{
      default_type application/octet-stream;
      alias {folder}/blobs/$1;
    }}
  }}
}}
"""
)


class Curl:
    """`load.Load` without a compiler."""

    def __init__(self) -> None:
        self._programs = [shutil.which("curl"), shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")]
        if None in self._programs:
            raise BenchError("no client found: install a C compiler and libssl-dev, or curl and nginx")
        self._folder = Path(tempfile.mkdtemp(prefix="bench-", dir=MEMORY if MEMORY.is_dir() else None))
        for name in ("uploads", "blobs"):
            (self._folder / name).mkdir()

    def __str__(self) -> str:
        return "curl and nginx"

    def close(self) -> None:
        """Deletes the files in memory."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def sink(self, certificate: Certificate | None) -> Iterator[int]:
        """See `load.Load.sink`."""
        (port,) = free_ports(1)
        files = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};" if certificate else ""
        text = SINK.format(
            user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            folder=self._folder,
            port=port,
            ssl=" ssl" if certificate else "",
            certificate=files,
        )
        config = self._folder / f"{port}.conf"
        config.write_text(text.replace("sink.pid", f"{port}.pid"))
        with started([str(self._programs[1]), "-p", str(self._folder), "-c", str(config)], port, "the sink"):
            yield port

    def send(self, target: Target, digest: str, size: int, count: int) -> float:
        """See `load.Load.send`; includes about 10 ms to start curl."""
        zeros = self._zeros(size)
        started_at = time.monotonic()
        origin = f"{_scheme(target)}://localhost:{target.port}"
        collection = f"{origin}/v2/bench/uploads/blobs/uploads/"
        heads = self._run(
            count, target, [["--dump-header", "-", "--request", "POST", "--data", "", collection]] * count
        )
        places = [_location(head) for head in heads]
        urls = [f"{origin}{place}{'&' if '?' in place else '?'}digest={digest}" for place in places]
        self._run(count, target, [["--header", "Expect:", "--upload-file", str(zeros), url] for url in urls])
        seconds = time.monotonic() - started_at
        for file in (self._folder / "uploads").iterdir():
            file.unlink()
        return seconds

    def fetch(self, target: Target, digest: str, size: int, count: int) -> float:
        """See `load.Load.fetch`."""
        self._zeros(size)
        url = f"{_scheme(target)}://localhost:{target.port}/v2/bench/s{size}/blobs/{digest}"
        started_at = time.monotonic()
        self._run(count, target, [["--output", "/dev/null", url]] * count)
        return time.monotonic() - started_at

    def _zeros(self, size: int) -> Path:
        file = self._folder / "blobs" / str(size)
        if not file.exists():
            with file.open("wb") as sparse:
                sparse.truncate(size)
        return file

    def _run(self, count: int, target: Target, each: Sequence[list[str]]) -> list[str]:
        """The output of each curl. Credentials are in a file that only this user can read."""
        usual = ["--silent", "--show-error", "--fail", "--insecure", "--http1.1", "--max-time", str(MAX_SAMPLE_SECONDS)]
        with tempfile.NamedTemporaryFile("w", dir=self._folder) as secret:
            secret.write(f"Authorization: {target.authorization}\n")
            secret.flush()
            commands = [[str(self._programs[0]), *usual, "--header", f"@{secret.name}", *words] for words in each]
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
            printed = [process.communicate()[0] for process in running]
        if any(process.returncode for process in running):
            raise BenchError(f"curl through port {target.port} failed")
        return printed


def _scheme(target: Target) -> str:
    return "https" if target.tls else "http"


def _location(head: str) -> str:
    """Path and query of the Location header."""
    for line in head.splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "location":
            return value.strip()
    raise BenchError("the response to the start of an upload has no Location")
