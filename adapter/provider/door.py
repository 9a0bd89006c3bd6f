"""What the provider door does with the requests that it translates."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from flask import Request, Response

from adapter.errors import AdapterError, CredentialsError, Denied, InvalidRequest, Unexpected
from adapter.identity import Identity
from adapter.provider import headers, relay, routes
from adapter.provider.core import Answer, Core
from adapter.provider.endpoints import Endpoints
from adapter.provider.filters import translated
from adapter.provider.inward import Inward, Order, endpoint_of, needs_stored
from adapter.provider.names import CARRIERS, is_one_of
from adapter.provider.outward import Outward
from adapter.provider.remembered import Remembered
from adapter.provider.routes import Kind, Route
from adapter.provider.spelling import respelled
from adapter.swr import trace
from adapter.swr.client import SwrClient
from adapter.transfer.body import announced_length, read_all

log = logging.getLogger(__name__)

LARGEST_ANSWER: Final = 4 << 20
"""Bytes of an answer that is translated: far more than a page of a hundred rules."""
LARGEST_REQUEST: Final = 1 << 20
SESSION: Final = "sid"
"""The cookie of a browser's session (`docs/facts/harbor.md H`)."""


class Door:
    """Translates between portal and core; safe for threads. Without `endpoints` everything passes."""

    def __init__(self, core: Core, swr: SwrClient, endpoints: Endpoints | None, carrier: str, *, for_all: bool) -> None:
        self._core, self._swr, self._endpoints, self._carrier = core, swr, endpoints, carrier
        self._for_all = for_all
        self._remembered = Remembered()
        if endpoints is not None:
            self._inward = Inward(endpoints, carrier)
            self._outward = Outward(endpoints, self._remembered)

    def answer(self, request: Request) -> Response:
        """Raises `AdapterError` for what is refused here, and when core cannot be asked."""
        target = relay.target_of(request)
        route = routes.match(request.method, target) if self._endpoints is not None else None
        if route is None or self._endpoints is None:
            return relay.passed(self._core, request, target, relay.incoming(request))
        if route.kind in (Kind.CREATE, Kind.PING, Kind.EDIT):
            return self._write(request, target, route)
        if route.kind is Kind.REMOVE:
            return self._remove(request, target, route)
        if route.kind is Kind.REGISTRIES:
            path, mark, query = target.partition("?")
            target = path + mark + translated(query, self._endpoints.adapter, self._carrier)
        return self._show(request, target, route)

    # What is shown

    def _show(self, request: Request, target: str, route: Route) -> Response:
        if not self._for_all and SESSION not in request.cookies:
            return relay.passed(self._core, request, target, relay.incoming(request))
        sent = headers.to_core(relay.headers_of(request), plain=True)
        answer = self._core.send(request.method, target, sent, relay.incoming(request))
        try:
            return self._shown(request, route, answer)
        except BaseException:
            answer.close()
            raise

    def _shown(self, request: Request, route: Route, answer: Answer) -> Response:
        if answer.status != 200 or not headers.is_plain_json(answer.headers):
            return relay.streamed(answer)
        body = answer.whole(LARGEST_ANSWER)
        if body is None:
            log.warning("an answer of core is larger than %d bytes and passes as it is", LARGEST_ANSWER)
            return relay.streamed(answer)
        parsed = _parsed(body)
        if parsed is None:
            return relay.whole(answer, body)
        text, document = parsed
        after = self._translation(request, route)(document)
        return relay.whole(answer, body if after is document else respelled(text, document, after).encode())

    def _translation(self, request: Request, route: Route) -> Callable[[Any], Any]:
        outward = self._outward
        simple: dict[Kind, Callable[[Any], Any]] = {
            Kind.ADAPTERS: outward.adapters,
            Kind.ADAPTER_INFOS: outward.adapter_infos,
            Kind.REGISTRIES: outward.registries,
            Kind.REGISTRY: outward.registry,
            Kind.POLICIES: outward.policies,
            Kind.POLICY: outward.policy,
            Kind.SUMMARY: outward.summary,
        }
        return simple.get(route.kind) or (lambda document: self._info(request, route, document))

    def _info(self, request: Request, route: Route, document: Any) -> Any:
        """The capabilities come without a URL, so the endpoint is looked up unless it is known."""
        endpoint = route.endpoint
        kind = document.get("type") if isinstance(document, dict) else None
        if endpoint is None or not is_one_of(kind, CARRIERS):
            return document
        if endpoint not in self._remembered:
            try:
                self._outward.registry(self._looked_up(request, endpoint))
            except _NotFound as told:
                told.response.close()
                return document
            except AdapterError:
                return document
        return self._outward.info(document) if endpoint in self._remembered else document

    # What is stored

    def _remove(self, request: Request, target: str, route: Route) -> Response:
        response = relay.passed(self._core, request, target, relay.incoming(request))
        self._forget(route.endpoint, response)
        return response

    def _write(self, request: Request, target: str, route: Route) -> Response:
        # What is too large to look into is not passed on unseen: it might store SWR's own URL.
        body = read_all(
            request.environ["wsgi.input"],
            announced_length(request.environ),
            LARGEST_REQUEST,
            "an endpoint's description",
        )
        if not body:
            return relay.passed(self._core, request, target, body)
        parsed = _parsed(body)
        if parsed is None:
            if self._inward.endpoints.is_named_in(body):
                # Core reads more leniently than Python, and must not store what it may find in there.
                raise InvalidRequest("the body is no JSON document in UTF-8")
            return relay.passed(self._core, request, target, body)
        text, document = parsed
        try:
            order = self._order(request, route, document)
        except _NotFound as told:
            return told.response
        if order.identity is not None:
            self._check(order.identity)
        sent = body if order.document is document else respelled(text, document, order.document).encode()
        response = relay.passed(self._core, request, target, sent)
        if route.kind is Kind.EDIT:
            self._forget(route.endpoint, response)
        return response

    def _order(self, request: Request, route: Route, document: Any) -> Order:
        if route.kind is Kind.CREATE:
            return self._inward.create(document)
        endpoint = route.endpoint if route.kind is Kind.EDIT else endpoint_of(document)
        if endpoint is None:
            return self._inward.ping(document, None)
        if not needs_stored(document):
            return Order(document)
        stored = self._looked_up(request, endpoint)
        return self._inward.edit(document, stored) if route.kind is Kind.EDIT else self._inward.ping(document, stored)

    def _check(self, identity: Identity) -> None:
        """The contract door's own check, because the portal shows a reason only where the door gives it.

        Raises `CredentialsError` or `Denied`. Where SWR cannot say, core decides.
        """
        if (current := trace.current.get()) is not None:
            current.account = identity.shown
        try:
            self._swr.check(identity)
        except (CredentialsError, Denied):
            raise
        except AdapterError:
            return

    def _forget(self, endpoint: int | None, response: Response) -> None:
        if endpoint is not None and 200 <= response.status_code < 300:
            self._remembered.forget(endpoint)

    def _looked_up(self, request: Request, endpoint: int) -> dict[str, Any]:
        """The stored endpoint, as the caller may see it. Raises `_NotFound` with core's answer when it is none."""
        sent = headers.look_up(relay.headers_of(request))
        answer = self._core.send("GET", f"{routes.API}/registries/{endpoint}", sent)
        try:
            body = answer.whole(LARGEST_REQUEST)
        except BaseException:
            answer.close()
            raise
        if answer.status != 200:
            raise _NotFound(relay.streamed(answer) if body is None else relay.whole(answer, body))
        answer.close()
        parsed = _parsed(body) if body is not None else None
        if parsed is None or not isinstance(parsed[1], dict):
            raise Unexpected("Harbor's core was asked for the stored endpoint and its answer makes no sense")
        document: dict[str, Any] = parsed[1]
        return document


class _NotFound(Exception):
    """Core did not tell the stored endpoint; the response is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _parsed(body: bytes) -> tuple[str, Any] | None:
    """The text of a JSON document and the document, or None for what is none."""
    try:
        text = body.decode()
        return text, json.loads(text)
    except (ValueError, RecursionError):
        return None
