"""What the provider door does with the requests that it translates."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from flask import Request, Response

from adapter.errors import AdapterError, CredentialsError, Denied, InvalidRequest
from adapter.identity import Identity
from adapter.provider import relay, routes
from adapter.provider.core import Core
from adapter.provider.documents import parsed, unescaped
from adapter.provider.endpoints import Endpoints
from adapter.provider.inward import Inward, Order, endpoint_of, needs_stored
from adapter.provider.lookups import NotTold, admitted, looked_up
from adapter.provider.names import MASK
from adapter.provider.outward import Outward
from adapter.provider.pages import Pages
from adapter.provider.remembered import Remembered
from adapter.provider.routes import Kind, Route
from adapter.provider.spelling import respelled
from adapter.swr import trace
from adapter.swr.client import SwrClient
from adapter.transfer.body import read_all

LARGEST_REQUEST: Final = 1 << 20
CHECKS: Final = 4
"""That many at once, half of the door's threads: however long SWR takes, pages are answered."""


class Door:
    """Translates between portal and core; safe for threads. Without `endpoints` everything passes."""

    def __init__(self, core: Core, swr: SwrClient, endpoints: Endpoints | None, carrier: str, *, for_all: bool) -> None:
        self._core, self._swr = core, swr
        self._checks = threading.BoundedSemaphore(CHECKS)
        self._remembered = Remembered()
        self._translates = endpoints is not None
        if endpoints is not None:
            self._inward = Inward(endpoints, carrier)
            self._pages = Pages(core, Outward(endpoints, self._remembered), carrier, for_all=for_all)

    def answer(self, request: Request) -> Response:
        """Raises `AdapterError` for what is refused here, and when core cannot be asked."""
        target = relay.target_of(request)
        route = routes.match(request.method, target) if self._translates else None
        if route is None:
            return relay.passed(self._core, request, target, relay.incoming(request))
        if route.kind in (Kind.CREATE, Kind.PING, Kind.EDIT):
            return self._write(request, target, route)
        if route.kind is Kind.REMOVE:
            response = relay.passed(self._core, request, target, relay.incoming(request))
            self._forget(route.endpoint, response)
            return response
        return self._pages.show(request, target, route)

    def _write(self, request: Request, target: str, route: Route) -> Response:
        body = _read(request)
        # The look-ups, SWR's check and core's answer share the time that nginx gives.
        until = self._core.until()
        found = parsed(body)
        if found is None:
            self._refuse_unread(body)
            return relay.passed(self._core, request, target, body, until)
        text, document = found
        try:
            order = self._order(request, route, document, until)
        except NotTold as told:
            return told.response
        # SWR is asked for nobody whom core does not know: it would tell strangers which credentials are good.
        if order.identity is not None and (order.asked or admitted(self._core, request, until)):
            self._check(order.identity)
        sent = body if order.document is document else respelled(text, document, order.document).encode()
        response = relay.passed(self._core, request, target, sent, until)
        if route.kind is Kind.EDIT:
            self._forget(route.endpoint, response)
        return response

    def _refuse_unread(self, body: bytes) -> None:
        """Core reads more leniently than Python, and must not store what it may find in there."""
        text = unescaped(body)
        if self._inward.endpoints.is_named_in(text) or MASK.encode() in text:
            raise InvalidRequest("the body is no JSON document in UTF-8")

    def _order(self, request: Request, route: Route, document: object, until: float) -> Order:
        if route.kind is Kind.CREATE:
            return self._inward.create(document)
        endpoint = route.endpoint if route.kind is Kind.EDIT else endpoint_of(document)
        if endpoint is None:
            return self._inward.ping(document, None)
        if not needs_stored(document):
            return Order(document)
        stored = looked_up(self._core, request, endpoint, until)
        order = self._inward.edit(document, stored) if route.kind is Kind.EDIT else self._inward.ping(document, stored)
        return replace(order, asked=True)

    def _check(self, identity: Identity) -> None:
        """The contract door's own check, because the portal shows a reason only where the door gives it.

        Raises `CredentialsError` or `Denied`. Where SWR cannot say, or too many ask it already, core decides.
        """
        if not self._checks.acquire(blocking=False):
            return
        if (current := trace.current.get()) is not None:
            current.account = identity.shown
        try:
            self._swr.check(identity)
        except (CredentialsError, Denied):
            raise
        except AdapterError:
            return
        finally:
            self._checks.release()

    def _forget(self, endpoint: int | None, response: Response) -> None:
        if endpoint is not None and 200 <= response.status_code < 300:
            self._remembered.forget(endpoint)


def _read(request: Request) -> bytes:
    """A body that the door can look into: what it cannot is not passed on unseen, it might store SWR's own URL."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise InvalidRequest("the body must be plain JSON, without Content-Encoding")
    return read_all(request.environ, LARGEST_REQUEST, "an endpoint's description")
