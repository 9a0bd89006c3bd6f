"""The Flask application of the provider door."""

from __future__ import annotations

import logging
import math

from flask import Flask, Response, request

from adapter.errors import AdapterError, CredentialsError, Denied, InternalError, InvalidRequest
from adapter.provider.core_client import CoreClient
from adapter.provider.endpoints import Endpoints, stored_form
from adapter.provider.envelope import harbor_body
from adapter.provider.handler import Handler
from adapter.provider.proxying import drop_rest
from adapter.provider.threads import Counted, Threads
from adapter.settings import Settings
from adapter.swr.client import SwrClient

log = logging.getLogger(__name__)


def create_provider_app(settings: Settings, swr: SwrClient, core: CoreClient | None = None) -> Flask:
    """Every request below `/api/v2.0/` goes to core; those of `adapter.provider.routes` are translated on their way.

    Without `public_url` nothing is translated, since no endpoint of ours could be told from others. `core` is for
    tests.
    """
    app = Flask("adapter.provider", static_folder=None)
    own = None if settings.public_url is None else stored_form(settings.public_url)
    if own is None:
        log.warning("SWR_ADAPTER_PUBLIC_URL is not set: the provider door translates nothing and shows no provider")
    threads = Threads()
    door = Handler(
        core or CoreClient(settings.harbor_core_url, settings.core_ca_bundle),
        swr,
        None if own is None else Endpoints(own, swr.regions),
        settings.carrier,
        threads,
        for_all=settings.translate_for == "all",
    )

    # Before Flask looks for a route: there are none, whatever the method and the path.
    @app.before_request
    def answer() -> Response:
        try:
            return door.answer(request)
        except AdapterError as error:
            return _refuse(error)
        except Exception as error:
            log.exception("defect", exc_info=error)
            return _refuse(InternalError("the provider door failed; its log has the details"))

    app.wsgi_app = Counted(app.wsgi_app, threads)  # type: ignore[method-assign]
    return app


def _refuse(error: AdapterError) -> Response:
    """In Harbor's envelope. What a person entered is a bad request: 401 would end the session in the portal."""
    request.environ["adapter.error"] = f"{type(error).__name__}: {error.sentence}"
    entered = isinstance(error, (InvalidRequest, CredentialsError, Denied))
    status = 400 if entered else error.status
    code = {400: "BAD_REQUEST", 404: "NOT_FOUND"}.get(status, "UNKNOWN")
    if request.content_length or "Transfer-Encoding" in request.headers:
        drop_rest(request)
    response = Response(harbor_body(code, error.sentence), status, content_type="application/json; charset=utf-8")
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response
