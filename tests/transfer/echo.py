"""A server that tells how it read a body: gunicorn with our worker, and the way in that is under test.

    python -m tests.transfer.echo PORT IDLE [CERTIFICATE KEY]

`PUT /socket` reads as the adapter does, `PUT /input` from `wsgi.input`; `?take=N` stops after N bytes, `?grace=S` gives
the body S seconds and one more for each 100 bytes, `?pad=N` makes the answer N bytes longer, to be taken at the pace of
a blob. IDLE is the server's own timeout in seconds.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from gunicorn.app.base import BaseApplication

from adapter.errors import SizeInvalid
from adapter.listeners import ListenerConfig
from adapter.server_certificate import Certificate
from adapter.transfer.body_source import Source, StreamSource, source_of
from adapter.transfer.request_body import BLOB, Body, Pace, announced_length
from adapter.worker import worker_class


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    source: Source = StreamSource(environ["wsgi.input"]) if environ["PATH_INFO"] == "/input" else source_of(environ)
    query = parse_qs(environ["QUERY_STRING"])
    take, grace = query.get("take"), query.get("grace")
    body = Body(source, announced_length(environ), pace=Pace(float(grace[0]), 100) if grace else BLOB)
    digest, blocks, failure = hashlib.sha256(), [], None
    try:
        for block in body:
            digest.update(block)
            blocks.append(len(block))
            if take and sum(blocks) >= int(take[0]):
                environ["adapter.force_close"]()
                break
    except SizeInvalid as error:
        failure = error.sentence
        environ["adapter.force_close"]()
    told = {
        "way": type(source).__name__,
        "received": body.received,
        "blocks": blocks,
        "sha256": digest.hexdigest(),
        "failure": failure,
    }
    if "pad" in query:
        environ["gunicorn.socket"].begin_response(BLOB)
    answer = json.dumps(told).encode() + b" " * int(query.get("pad", ["0"])[0])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


class Echo(BaseApplication):
    def load_config(self) -> None:
        port, idle, *certificate = sys.argv[1:]
        door = ListenerConfig(8, Certificate(*map(Path, certificate)) if certificate else None)
        options: dict[str, object] = {
            "bind": f"127.0.0.1:{port}",
            "worker_class": worker_class({int(port): door}, float(idle)),
            "worker_connections": 4096,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Iterable[bytes]]:
        return app


if __name__ == "__main__":
    Echo().run()
