"""Debian's `docker-registry` as a process: a plain registry, or a cache in front of another one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.services import answers, free_ports


@contextlib.contextmanager
def running_registry(folder: Path, **settings: object) -> Iterator[str]:
    """Its `host:port`, until the block ends. `settings` are more of its configuration.

    Its log stays in `folder`: that of a cache names its upstream with the password.
    """
    folder.mkdir()
    (port,) = free_ports(1)
    configuration: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = folder / "config.yml"
    # JSON is YAML.
    file.write_text(json.dumps(configuration | settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while not answers(port, "/v2/"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, "docker-registry does not start"
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def cache_of(url: str, user: str, password: str) -> dict[str, dict[str, str]]:
    """The setting that makes it a cache in front of `url`. Its own settings for credentials are for Bearer alone, so
    they go into the address."""
    parts = urlsplit(url)
    return {
        "proxy": {"remoteurl": f"{parts.scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"}
    }
