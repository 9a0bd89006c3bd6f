"""Who gets a thread for how long: requests that may wait for SWR are counted, and a transfer is known to SWR first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flask import Flask, Response, g, request

from adapter.contract.auth import credentials_of
from adapter.credentials import Credentials
from adapter.errors import Busy
from adapter.http import request_context
from adapter.references import Repository
from adapter.swr.client import SwrClient
from adapter.transfer.slots import Slot, Slots

_CALL: Final = "adapter_call"
_CHECK: Final = "registry.check"
_NEVER_WAIT: Final = frozenset({"ping.version", "ping.ping", "ping.health"})
"""Endpoints that do not ask SWR, and look at credentials by themselves if at all."""


@dataclass(frozen=True)
class Pair:
    """Slots for credentials that SWR has accepted lately, and a few for all others together."""

    proven: Slots
    unproven: Slots


class _Call:
    """The slot of one request, until its answer has gone or it has become a transfer."""

    def __init__(self, pair: Pair, credentials: Credentials, *, accepted: bool) -> None:
        self._pair = pair
        self._credentials = credentials
        self._proven = accepted
        self._slot: Slot | None = (pair.proven if accepted else pair.unproven).take(credentials)

    def accepted(self) -> None:
        """SWR accepts the credentials: the request leaves the slots for unproven ones, where another may be waiting to
        prove itself. Where no other slot is free it keeps the one that it has."""
        if self._slot is None or self._proven:
            return
        with contextlib.suppress(Busy):
            unproven, self._slot = self._slot, self._pair.proven.take(self._credentials)
            self._proven = True
            unproven.release()

    def release(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.release()


def admit(app: Flask, swr: SwrClient, *, calls: Pair, checks: Pair) -> None:
    """Every request with credentials takes one of `calls` until its answer has gone, or it is a transfer: a client that
    takes its answers slowly holds threads with them.

    Harbor's health check has slots of its own: one that fails takes a proxy cache away for five minutes. Credentials
    of the wrong form are refused before they take anything.
    """

    @app.before_request
    def enter() -> None:
        if "Authorization" not in request.headers or request.endpoint is None or request.endpoint in _NEVER_WAIT:
            return
        credentials = credentials_of(request, swr.regions)
        pair = checks if request.endpoint == _CHECK else calls
        call = _Call(pair, credentials, accepted=swr.tokens.accepted(credentials))
        setattr(g, _CALL, call)
        if (current := request_context.current_request.get()) is not None:
            current.on_accepted = call.accepted

    @app.after_request
    def answer(response: Response) -> Response:
        if (call := g.pop(_CALL, None)) is not None:
            response.call_on_close(call.release)
        return response

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        """There is no answer."""
        become_transfer()


@contextlib.contextmanager
def transferring(swr: SwrClient, slots: Slots, credentials: Credentials, repository: Repository) -> Iterator[None]:
    """A slot for an upload's bytes; only for those whom SWR lets push. Raises `Busy`, or what SWR's refusal means."""
    swr.registry.authorize(credentials, repository)
    with moving(slots, credentials):
        yield


@contextlib.contextmanager
def moving(slots: Slots, credentials: Credentials) -> Iterator[None]:
    """A slot for the bytes of an upload that SWR has let start; the request gives its call slot back."""
    with slots.take(credentials):
        become_transfer()
        yield


def become_transfer() -> None:
    """The request gives its call slot back."""
    call = g.pop(_CALL, None)
    if call is not None:
        call.release()
