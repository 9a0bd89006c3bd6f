"""What the provider door does with the requests that it translates."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from flask import Request, Response

from adapter.credentials import Credentials
from adapter.errors import AdapterError, Busy, CredentialsError, Denied, InvalidRequest, RouteUnknown, TooLarge
from adapter.http import request_context
from adapter.provider import headers, proxying, routes
from adapter.provider.constants import MASK
from adapter.provider.core_client import Answer, CoreClient
from adapter.provider.core_responses import BLOCK
from adapter.provider.endpoints import Endpoints
from adapter.provider.envelope import explained
from adapter.provider.json_edit import parsed, respelled, unescaped, values_at_most
from adapter.provider.lookups import NotTold, admitted, looked_up
from adapter.provider.pages import Pages
from adapter.provider.requests import Order, RequestTranslation, endpoint_of, needs_stored
from adapter.provider.responses import EndpointRegions, ResponseTranslation
from adapter.provider.routes import Kind, Route
from adapter.provider.threads import MAX_SLOW, RETRY_SECONDS, THREADS, Threads, has_body, is_crowded, until_of
from adapter.swr.client import SwrClient
from adapter.transfer.request_body import read_all

LARGEST_REQUEST: Final = 1 << 20
MAX_VALUES: Final = 1 << 14
"""JSON values in a request, and commas in its texts."""
CHECKS: Final = THREADS // 4
"""That many at once: however long SWR takes, pages are answered, and bodies received."""


class Handler:
    """Translates between portal and core; safe for threads. Without `endpoints` everything passes."""

    def __init__(
        self,
        core: CoreClient,
        swr: SwrClient,
        endpoints: Endpoints | None,
        carrier: str,
        threads: Threads,
        *,
        for_all: bool,
    ) -> None:
        self._core, self._swr, self._threads = core, swr, threads
        self._checks = threading.BoundedSemaphore(CHECKS)
        self._remembered = EndpointRegions()
        self._translates = endpoints is not None
        if endpoints is not None:
            self._requests = RequestTranslation(endpoints, carrier)
            self._pages = Pages(core, ResponseTranslation(endpoints, self._remembered), carrier, for_all=for_all)

    def answer(self, request: Request) -> Response:
        """Raises `AdapterError` for what is refused here, and when core cannot be asked."""
        target = proxying.target_of(request)
        if not routes.is_forwarded(target):
            raise RouteUnknown(
                f"the provider door serves {routes.API}/ only: send this request to Harbor's core, past the door"
            )
        route = routes.match(request.method, target) if self._translates else None
        if is_crowded(request.environ) and has_body(request.environ):
            # Core might carry it out after the time that is left for it.
            raise Busy(
                f"{MAX_SLOW} requests are waiting for Harbor's core or for their clients (limit): "
                "try again in some seconds",
                retry_after=RETRY_SECONDS,
            )
        if route is not None and route.kind in (Kind.CREATE, Kind.PING, Kind.EDIT):
            return self._write(request, target, route)
        until = until_of(request.environ, self._core.until())
        body = proxying.incoming(request, self._threads)
        if route is None:
            return proxying.passed(self._core, request, target, body, until)
        if route.kind is Kind.REMOVE:
            response = proxying.passed(self._core, request, target, body, until)
            self._forget(route.endpoint, response)
            return response
        return self._pages.show(request, target, route, body, until)

    def _write(self, request: Request, target: str, route: Route) -> Response:
        body = self._read(request)
        # The look-ups, SWR's check and core's answer share the time that nginx gives.
        until = until_of(request.environ, self._core.until())
        found = parsed(body)
        if found is None:
            self._refuse_unread(body)
            return proxying.passed(self._core, request, target, body, until)
        text, document = found
        try:
            order = self._order(request, route, document, until)
        except NotTold as told:
            return told.response
        unconfirmed = None
        # SWR is asked for nobody whom core does not know: it would tell strangers which credentials are good.
        if order.credentials is not None and (order.asked or admitted(self._core, request, until)):
            unconfirmed = self._check(order.credentials)
        sent = body if order.document is document else respelled(text, document, order.document).encode()
        response = _with_reason(request, proxying.asked(self._core, request, target, sent, until), unconfirmed)
        if route.kind is Kind.EDIT:
            self._forget(route.endpoint, response)
        return response

    def _refuse_unread(self, body: bytes) -> None:
        """Core reads more leniently than Python, and must not store what it may find in there."""
        text = unescaped(body)
        if self._requests.endpoints.is_named_in(text) or MASK.encode() in text:
            raise InvalidRequest("the body is no JSON document in UTF-8")

    def _order(self, request: Request, route: Route, document: object, until: float) -> Order:
        if route.kind is Kind.CREATE:
            return self._requests.create(document)
        endpoint = route.endpoint if route.kind is Kind.EDIT else endpoint_of(document)
        if endpoint is None:
            return self._requests.ping(document, None)
        if not needs_stored(document):
            return Order(document)
        stored = looked_up(self._core, request, endpoint, until)
        order = (
            self._requests.edit(document, stored) if route.kind is Kind.EDIT else self._requests.ping(document, stored)
        )
        return replace(order, asked=True)

    def _check(self, credentials: Credentials) -> AdapterError | None:
        """The contract door's own check, because the portal shows a reason only where the door gives it.

        Raises `CredentialsError` or `Denied`. Where SWR cannot be asked, or too many ask it already, core decides;
        returned is why SWR could not confirm the credentials.
        """
        if not self._checks.acquire(blocking=False):
            return None
        if (current := request_context.current_request.get()) is not None:
            current.account = credentials.shown
        try:
            self._swr.check(credentials)
        except (CredentialsError, Denied):
            raise
        except AdapterError as error:
            return error
        finally:
            self._checks.release()
        return None

    def _forget(self, endpoint: int | None, response: Response) -> None:
        if endpoint is not None and 200 <= response.status_code < 300:
            self._remembered.forget(endpoint)

    def _read(self, request: Request) -> bytes:
        """A body that the door can look into: what it cannot is not passed on unseen, it might store SWR's own URL."""
        coding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise InvalidRequest("the body must be plain JSON, without Content-Encoding")
        if not has_body(request.environ):
            return b""
        give_back = self._threads.take_body(request.environ)
        try:
            body = read_all(request.environ, LARGEST_REQUEST, "an endpoint's description")
        finally:
            give_back()
        if values_at_most(body) > MAX_VALUES:
            raise TooLarge(
                f"an endpoint's description has at most {MAX_VALUES} values: send the fields of one endpoint"
            )
        return body


def _with_reason(request: Request, answer: Answer, unconfirmed: AdapterError | None) -> Response:
    """Core's answer. If that only calls the endpoint unhealthy, the door adds why its own check has just failed."""
    if unconfirmed is None or answer.status < 400 or not headers.is_plain_json(answer.headers):
        return proxying.streamed(answer)
    try:
        body = answer.whole(BLOCK)
    except BaseException:
        answer.close()
        raise
    if body is None:
        return proxying.streamed(answer)
    told = explained(body, unconfirmed.sentence)
    if told is not body:
        request.environ["adapter.error"] = f"{type(unconfirmed).__name__}: {unconfirmed.sentence}"
    return proxying.whole(answer, told)
