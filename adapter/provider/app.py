"""The Flask application of the provider port."""

from __future__ import annotations

import logging
import math

from flask import Flask, Response, request

from adapter.errors import AdapterError, CredentialsError, Denied, InternalError, InvalidRequest
from adapter.provider.constants import NAME
from adapter.provider.core_client import CoreClient
from adapter.provider.endpoints import Endpoints, stored_form
from adapter.provider.handler import Handler
from adapter.provider.proxying import close_after_response
from adapter.provider.response_translation import error_body
from adapter.provider.threads import CountingMiddleware, ThreadLimits
from adapter.settings import Settings
from adapter.swr.client import SwrClient

log = logging.getLogger(__name__)


def create_provider_app(settings: Settings, swr: SwrClient, core: CoreClient | None = None) -> Flask:
    """Sends every request below `/api/v2.0/` to Harbor core, and translates those of `adapter.provider.routes`.

    Without `settings.public_url` nothing is translated, because endpoints of the adapter cannot be recognized. `core`
    replaces the client that `settings` describe.
    """
    app = Flask("adapter.provider", static_folder=None)
    adapter_url = None if settings.public_url is None else stored_form(settings.public_url)
    if adapter_url is None:
        log.warning('SWR_ADAPTER_PUBLIC_URL is not set: "%s" does not appear in Harbor\'s provider list', NAME)
    limits = ThreadLimits()
    handler = Handler(
        core or CoreClient(settings.harbor_core_url, settings.core_ca_bundle),
        swr,
        None if adapter_url is None else Endpoints(adapter_url, swr.regions),
        settings.carrier,
        limits,
        for_all=settings.translate_for == "all",
    )

    # Flask has no routes here: this hook answers every method and path.
    @app.before_request
    def respond() -> Response:
        try:
            return handler.respond(request)
        except AdapterError as error:
            return _error_response(error)
        except Exception as error:
            log.exception("unhandled exception", exc_info=error)
            return _error_response(
                InternalError("internal error in the adapter: search its log for this request ID and report it")
            )

    app.wsgi_app = CountingMiddleware(app.wsgi_app, limits)  # type: ignore[method-assign]
    return app


def _error_response(error: AdapterError) -> Response:
    """The error in Harbor's format. Rejected credentials give 400, because the portal ends its session after a 401."""
    request.environ["adapter.error"] = f"{type(error).__name__}: {error.sentence}"
    rejected_input = isinstance(error, (InvalidRequest, CredentialsError, Denied))
    status = 400 if rejected_input else error.status
    code = {400: "BAD_REQUEST", 404: "NOT_FOUND"}.get(status, "UNKNOWN")
    if request.content_length or "Transfer-Encoding" in request.headers:
        close_after_response(request)
    response = Response(error_body(code, error.sentence), status, content_type="application/json; charset=utf-8")
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response
