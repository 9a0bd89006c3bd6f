"""Answers of core that are shown translated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Request, Response

from adapter.errors import AdapterError, Unexpected
from adapter.provider import headers, proxying
from adapter.provider.constants import CARRIERS, is_one_of
from adapter.provider.core_client import Answer, Body, CoreClient
from adapter.provider.json_edit import changed
from adapter.provider.json_stream import listed
from adapter.provider.lookups import NotTold, looked_up
from adapter.provider.query_filters import restored, translated
from adapter.provider.responses import ResponseTranslation
from adapter.provider.routes import Kind, Route

LARGEST: Final = 4 << 20
"""Bytes that are read into memory: of a page with one endpoint or rule, or of one entry of a list. Through the door
none gets larger than a quarter of that."""
SESSION: Final = "sid"
"""The cookie of a browser's session (`docs/facts/harbor.md H`)."""


class Pages:
    """Shows them to browsers, or to everybody; safe for threads."""

    def __init__(self, core: CoreClient, outward: ResponseTranslation, carrier: str, *, for_all: bool) -> None:
        self._core, self._responses, self._carrier, self._for_all = core, outward, carrier, for_all

    def show(self, request: Request, target: str, route: Route, body: Body | None, until: float) -> Response:
        """Raises `AdapterError` when core cannot be asked, or its answer not be translated."""
        path, mark, asked = target.partition("?")
        query = asked
        if route.kind is Kind.REGISTRIES:
            query = translated(asked, self._responses.endpoints.adapter, self._carrier)
        answer = proxying.asked(self._core, request, path + mark + query, body, until)
        if query != asked:
            # Its next page is asked for with the filter that was given.
            answer.headers = [
                (name, restored(value, asked, query) if name.lower() == "link" else value)
                for name, value in answer.headers
            ]
        if not self._for_all and SESSION not in request.cookies:
            return proxying.streamed(answer)
        try:
            return self._shown(request, route, answer, until)
        except BaseException:
            answer.close()
            raise

    def _shown(self, request: Request, route: Route, answer: Answer, until: float) -> Response:
        if answer.status != 200 or not headers.is_plain_json(answer.headers):
            return proxying.streamed(answer)
        body = answer.whole(LARGEST)
        if body is not None:
            return proxying.whole(answer, changed(body, self._translation(request, route, until)))
        item = {Kind.REGISTRIES: self._responses.registry, Kind.POLICIES: self._responses.policy}.get(route.kind)
        if item is None:
            raise Unexpected(
                f"an answer of Harbor's core has more than {LARGEST} bytes: that is more than the provider door "
                "looks into"
            )
        return proxying.rewritten(answer, listed(answer.blocks(), lambda each: changed(each, item), LARGEST))

    def _translation(self, request: Request, route: Route, until: float) -> Callable[[Any], Any]:
        outward = self._responses
        simple: dict[Kind, Callable[[Any], Any]] = {
            Kind.ADAPTERS: outward.adapters,
            Kind.ADAPTER_INFOS: outward.adapter_infos,
            Kind.REGISTRIES: outward.registries,
            Kind.REGISTRY: outward.registry,
            Kind.POLICIES: outward.policies,
            Kind.POLICY: outward.policy,
            Kind.SUMMARY: outward.summary,
        }
        return simple.get(route.kind) or (lambda document: self._info(request, route, document, until))

    def _info(self, request: Request, route: Route, document: Any, until: float) -> Any:
        """The capabilities come without a URL, so the endpoint is looked up unless it is known."""
        endpoint, known = route.endpoint, self._responses.remembered
        kind = document.get("type") if isinstance(document, dict) else None
        if endpoint is None or not is_one_of(kind, CARRIERS):
            return document
        if endpoint not in known:
            try:
                self._responses.registry(looked_up(self._core, request, endpoint, until))
            except NotTold as told:
                told.response.close()
                return document
            except AdapterError:
                return document
        return self._responses.info(document) if endpoint in known else document
