"""Debian's `docker-registry` as a process: a registry, or a cache in front of another registry."""

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
    """Runs it until the block ends and yields `host:port`. `settings` replace parts of its configuration.

    The log stays in `folder`, because that of a cache contains the password of its upstream.
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
    """The setting of a cache in front of `url`. The credentials are in the URL, because the settings for credentials
    work only with Bearer."""
    parts = urlsplit(url)
    return {
        "proxy": {"remoteurl": f"{parts.scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"}
    }
