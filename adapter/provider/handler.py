"""Handles the requests of the provider port: translates some, and passes all others on to Harbor core."""

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
from adapter.provider.core_client import CoreClient, CoreResponse
from adapter.provider.core_responses import BLOCK_BYTES
from adapter.provider.endpoint_lookup import LookupFailed, is_authorized, stored_endpoint
from adapter.provider.endpoints import Endpoints
from adapter.provider.json_edit import dump, max_values, parse, unescape_ascii
from adapter.provider.pages import Pages
from adapter.provider.request_translation import RequestTranslation, TranslatedRequest, endpoint_of, needs_stored
from adapter.provider.response_translation import EndpointRegions, ResponseTranslation, add_reason
from adapter.provider.routes import Kind, Route
from adapter.provider.threads import (
    MAX_FULL_TIME,
    RETRY_SECONDS,
    THREADS,
    ThreadLimits,
    deadline_of,
    has_body,
    is_crowded,
)
from adapter.swr.client import SwrClient
from adapter.transfer.request_body import read_all

MAX_REQUEST_BYTES: Final = 1 << 20
MAX_VALUES: Final = 1 << 14
"""JSON values in a request. Commas in strings count too."""
MAX_CHECKS: Final = THREADS // 4
"""Credential checks at once, so that a slow SWR leaves threads for pages and for bodies."""


class Handler:
    """Translates between portal and core. Safe for threads. Without `endpoints` everything passes unchanged."""

    def __init__(
        self,
        core: CoreClient,
        swr: SwrClient,
        endpoints: Endpoints | None,
        carrier: str,
        limits: ThreadLimits,
        *,
        for_all: bool,
    ) -> None:
        self._core, self._swr, self._limits = core, swr, limits
        self._checks = threading.BoundedSemaphore(MAX_CHECKS)
        self._regions = EndpointRegions()
        self._translates = endpoints is not None
        if endpoints is not None:
            self._requests = RequestTranslation(endpoints, carrier)
            self._pages = Pages(core, ResponseTranslation(endpoints, self._regions), carrier, for_all=for_all)

    def respond(self, request: Request) -> Response:
        """Raises `AdapterError` if the request is rejected here, or if core cannot be reached."""
        target = proxying.target_of(request)
        if not routes.is_harbor_api(target):
            raise RouteUnknown(f"the provider port serves only {routes.API}/: send this request to Harbor itself")
        route = routes.match(request.method, target) if self._translates else None
        if is_crowded(request.environ) and has_body(request.environ):
            # Core might carry out the change after the deadline.
            raise Busy(
                f"{MAX_FULL_TIME} requests are waiting for Harbor core or for their clients (limit): "
                "try again in a few seconds",
                retry_after=RETRY_SECONDS,
            )
        if route is not None and route.kind in (Kind.CREATE, Kind.PING, Kind.EDIT):
            return self._write(request, target, route)
        deadline = deadline_of(request.environ, self._core.deadline())
        body = proxying.request_body(request, self._limits)
        if route is None:
            return proxying.pass_through(self._core, request, target, body, deadline)
        if route.kind is Kind.REMOVE:
            response = proxying.pass_through(self._core, request, target, body, deadline)
            self._forget(route.endpoint, response)
            return response
        return self._pages.show(request, target, route, body, deadline)

    def _write(self, request: Request, target: str, route: Route) -> Response:
        body = self._read(request)
        # Lookups, the check at SWR and the response of core share the time for which nginx waits.
        deadline = deadline_of(request.environ, self._core.deadline())
        try:
            document = parse(body)
        except ValueError:
            self._reject_hidden_fields(body)
            return proxying.pass_through(self._core, request, target, body, deadline)
        try:
            translated = self._translate(request, route, document, deadline)
        except LookupFailed as failed:
            return failed.response
        unconfirmed = None
        # Only for callers that core accepts. Otherwise anybody could find out which credentials are valid.
        if translated.credentials is not None and (
            translated.authorized or is_authorized(self._core, request, deadline)
        ):
            unconfirmed = self._check(translated.credentials)
        sent = body if translated.document is document else dump(translated.document)
        core_response = proxying.forward(self._core, request, target, sent, deadline)
        response = _with_reason(request, core_response, unconfirmed)
        if route.kind is Kind.EDIT:
            self._forget(route.endpoint, response)
        return response

    def _reject_hidden_fields(self, body: bytes) -> None:
        """Core accepts JSON that Python rejects, and must not store an SWR URL or a masked secret from it."""
        text = unescape_ascii(body)
        if self._requests.endpoints.is_mentioned_in(text) or MASK.encode() in text:
            raise InvalidRequest("the request body is not valid UTF-8 JSON: encode it as JSON in UTF-8")

    def _translate(self, request: Request, route: Route, document: object, deadline: float) -> TranslatedRequest:
        if route.kind is Kind.CREATE:
            return self._requests.create(document)
        endpoint = route.endpoint if route.kind is Kind.EDIT else endpoint_of(document)
        if endpoint is None:
            return self._requests.ping(document, None)
        if not needs_stored(document):
            return TranslatedRequest(document)
        stored = stored_endpoint(self._core, request, endpoint, deadline)
        translate = self._requests.edit if route.kind is Kind.EDIT else self._requests.ping
        return replace(translate(document, stored), authorized=True)

    def _check(self, credentials: Credentials) -> AdapterError | None:
        """Checks the credentials at SWR, because the portal shows the reason only in the response to this request.

        Raises `CredentialsError` or `Denied`. Returns why SWR could not confirm the credentials; None if SWR confirmed
        them, or if `MAX_CHECKS` other checks are running: core decides then.
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
            self._regions.forget(endpoint)

    def _read(self, request: Request) -> bytes:
        """The body. What cannot be inspected is rejected, because core might store an SWR URL from it."""
        coding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise InvalidRequest("compressed bodies are not supported: send plain JSON without Content-Encoding")
        if not has_body(request.environ):
            return b""
        release = self._limits.acquire_body_slot(request.environ)
        try:
            body = read_all(request.environ, MAX_REQUEST_BYTES, "an endpoint definition")
        finally:
            release()
        if max_values(body) > MAX_VALUES:
            raise TooLarge(
                f"too many JSON values in an endpoint definition (limit {MAX_VALUES}): send the fields of one endpoint"
            )
        return body


def _with_reason(request: Request, response: CoreResponse, unconfirmed: AdapterError | None) -> Response:
    """The response of core. If core only reports the endpoint as unhealthy, the reason of the adapter's check is
    added."""
    if unconfirmed is None or response.status < 400 or not headers.is_plain_json(response.headers):
        return proxying.stream(response)
    try:
        body = response.read(BLOCK_BYTES)
    except BaseException:
        response.close()
        raise
    if body is None:
        return proxying.stream(response)
    explained = add_reason(body, unconfirmed.sentence)
    if explained is not body:
        request.environ["adapter.error"] = f"{type(unconfirmed).__name__}: {unconfirmed.sentence}"
    return proxying.respond(response, explained)
