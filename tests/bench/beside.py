"""nginx instead of the adapter, tuned for large bodies, for comparison.

nginx does not collect bodies, has buffers of 1 MiB and keeps connections to the sink. Both use TLS 1.3, which
nginx 1.22 must be configured for.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import BenchError, started
from tests.certificates import Certificate
from tests.services import free_ports

COMMON = """  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  access_log off;
  sendfile on;
  tcp_nopush on;
"""
"""In the `http` block of each nginx of the benchmark."""

MAIN = (
    """
{user}
worker_processes auto;
pid {folder}/nginx.pid;
daemon off;
error_log stderr warn;
events {{
  worker_connections 1024;
}}
http {{
"""
    + COMMON
    + """  tcp_nodelay on;
  keepalive_timeout 120s;
  keepalive_requests 100000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  ssl_certificate {chain};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_buffer_size 16k;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_request_buffering off;
  proxy_buffering off;
  proxy_buffer_size 1m;
  proxy_buffers 8 1m;
  proxy_busy_buffers_size 2m;
  proxy_ssl_protocols TLSv1.2 TLSv1.3;
  proxy_ssl_verify on;
  proxy_ssl_trusted_certificate {authority};
  proxy_ssl_name localhost;
  proxy_ssl_session_reuse on;
  upstream plain {{
    server 127.0.0.1:{plain_sink};
    keepalive 64;
  }}
  upstream tls {{
    server 127.0.0.1:{tls_sink};
    keepalive 64;
  }}
{servers}
}}
"""
)

SERVER = """
  server {{
    listen 127.0.0.1:{port}{ssl} reuseport;
    location / {{
      proxy_pass {upstream};
    }}
  }}
"""


@dataclass(frozen=True)
class Nginx:
    """Ports by upstream; `door` also has TLS to the client. `pid`: the master process."""

    plain: int
    tls: int
    door: int
    pid: int


@contextlib.contextmanager
def running_nginx(folder: Path, certificate: Certificate, plain_sink: int, tls_sink: int) -> Iterator[Nginx]:
    """Runs nginx until the block ends.

    :raises BenchError: when nginx is missing or does not start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise BenchError("nginx is not installed (needed for comparison): apt-get install nginx")
    plain, tls, door = free_ports(3)
    servers = [
        SERVER.format(port=plain, ssl="", upstream="http://plain"),
        SERVER.format(port=tls, ssl="", upstream="https://tls"),
        SERVER.format(port=door, ssl=" ssl", upstream="https://tls"),
    ]
    text = MAIN.format(
        user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
        folder=folder,
        chain=certificate.chain,
        key=certificate.key,
        authority=certificate.authority,
        plain_sink=plain_sink,
        tls_sink=tls_sink,
        servers="".join(servers),
    )
    config = folder / "nginx.conf"
    config.write_text(text)
    with started([program, "-p", str(folder), "-c", str(config)], plain, "nginx") as process:
        yield Nginx(plain, tls, door, process.pid)
