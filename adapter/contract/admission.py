"""Who gets a thread for how long: requests that may wait for SWR are counted, and a transfer is known to SWR first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from flask import Flask, g, request

from adapter.identity import Identity
from adapter.names import Repository
from adapter.swr.client import SwrClient
from adapter.transfer.slots import Slots

_CALL: Final = "adapter_call"


def admit(app: Flask, calls: Slots, checks: Slots) -> None:
    """Every request with credentials takes one of `calls` until it is answered, or is a transfer.

    Harbor's health check has places of its own: one that fails takes a proxy cache away for five minutes.
    """

    @app.before_request
    def enter() -> None:
        if "Authorization" in request.headers:
            check = request.endpoint in {"registry.check", "ping.version"}
            setattr(g, _CALL, (checks if check else calls).take())

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        _release()


@contextlib.contextmanager
def transferring(swr: SwrClient, slots: Slots, identity: Identity, repository: Repository) -> Iterator[None]:
    """A place for an upload's bytes; only for those whom SWR lets push. Raises `Busy`, or what SWR's refusal means."""
    swr.registry.authorize(identity, repository)
    with slots.take():
        _release()
        yield


def _release() -> None:
    call = g.pop(_CALL, None)
    if call is not None:
        call.release()
