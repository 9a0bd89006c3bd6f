"""Responses of Harbor core in which endpoints are shown as the SWR provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Request, Response

from adapter.errors import AdapterError, Unexpected
from adapter.provider import headers, proxying
from adapter.provider.constants import CARRIERS, is_one_of
from adapter.provider.core_client import Body, CoreClient, CoreResponse
from adapter.provider.endpoint_lookup import LookupFailed, stored_endpoint
from adapter.provider.json_edit import edit
from adapter.provider.json_stream import edit_items
from adapter.provider.query_filters import restore_links, translate_query
from adapter.provider.response_translation import ResponseTranslation
from adapter.provider.routes import Kind, Route

MAX_BYTES: Final = 4 << 20
"""Limit of a response with one endpoint or rule, or of one entry of a list. Requests have a quarter of this limit."""
SESSION_COOKIE: Final = "sid"
"""The session of a browser (`docs/facts/harbor.md H`)."""


class Pages:
    """Translates responses for browsers, or for all callers if `for_all`. Safe for threads."""

    def __init__(self, core: CoreClient, responses: ResponseTranslation, carrier: str, *, for_all: bool) -> None:
        self._core, self._responses, self._carrier, self._for_all = core, responses, carrier, for_all

    def show(self, request: Request, target: str, route: Route, body: Body | None, deadline: float) -> Response:
        """Raises `AdapterError` if core cannot be reached, or if its response cannot be translated."""
        path, mark, query = target.partition("?")
        sent_query = query
        if route.kind is Kind.REGISTRIES:
            sent_query = translate_query(query, self._responses.endpoints.adapter, self._carrier)
        response = proxying.forward(self._core, request, path + mark + sent_query, body, deadline)
        if sent_query != query:
            # The link to the next page gets the filter that the caller sent.
            response.headers = [
                (name, restore_links(value, query, sent_query) if name.lower() == "link" else value)
                for name, value in response.headers
            ]
        if not self._for_all and SESSION_COOKIE not in request.cookies:
            return proxying.stream(response)
        try:
            return self._translated(request, route, response, deadline)
        except BaseException:
            response.close()
            raise

    def _translated(self, request: Request, route: Route, response: CoreResponse, deadline: float) -> Response:
        if response.status != 200 or not headers.is_plain_json(response.headers):
            return proxying.stream(response)
        body = response.read(MAX_BYTES)
        if body is not None:
            return proxying.respond(response, edit(body, self._translation(request, route, deadline)))
        item = {Kind.REGISTRIES: self._responses.registry, Kind.POLICIES: self._responses.policy}.get(route.kind)
        if item is None:
            raise Unexpected(
                f"a response from Harbor core exceeds {MAX_BYTES} bytes: look for a huge CA certificate or description "
                "in it"
            )
        return proxying.stream_edited(response, edit_items(response.blocks(), lambda each: edit(each, item), MAX_BYTES))

    def _translation(self, request: Request, route: Route, deadline: float) -> Callable[[Any], Any]:
        responses = self._responses
        simple: dict[Kind, Callable[[Any], Any]] = {
            Kind.ADAPTERS: responses.adapters,
            Kind.ADAPTER_INFOS: responses.adapter_infos,
            Kind.REGISTRIES: responses.registries,
            Kind.REGISTRY: responses.registry,
            Kind.POLICIES: responses.policies,
            Kind.POLICY: responses.policy,
            Kind.SUMMARY: responses.summary,
        }
        return simple.get(route.kind) or (lambda document: self._info(request, route, document, deadline))

    def _info(self, request: Request, route: Route, document: Any, deadline: float) -> Any:
        """Capabilities come without a URL, so an endpoint that is not remembered is looked up."""
        endpoint, regions = route.endpoint, self._responses.regions
        kind = document.get("type") if isinstance(document, dict) else None
        if endpoint is None or not is_one_of(kind, CARRIERS):
            return document
        if endpoint not in regions:
            try:
                self._responses.registry(stored_endpoint(self._core, request, endpoint, deadline))
            except LookupFailed as failed:
                failed.response.close()
                return document
            except AdapterError:
                return document
        return self._responses.info(document) if endpoint in regions else document
