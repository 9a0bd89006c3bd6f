"""The Flask application of the contract door."""

from __future__ import annotations

import logging
import threading
from typing import Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from adapter.contract import (
    blobs,
    deletion,
    manifests,
    projects,
    repositories,
    system,
    tags,
    uploads,
)
from adapter.contract.auth import CHALLENGE
from adapter.contract.concurrency import (
    CALLS,
    CHECKS,
    UNPROVEN_CALLS,
    UNPROVEN_CHECKS,
    UNPROVEN_CREDENTIALS,
    Pair,
    Slots,
    admit,
)
from adapter.contract.responses import harbor_body, oci_body
from adapter.errors import (
    AdapterError,
    CredentialsError,
    InternalError,
    InvalidRequest,
    MethodUnsupported,
    RouteUnknown,
)
from adapter.manifests.service import ManifestService
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from adapter.swr.tenants import Tenants
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.mount import Mounts
from adapter.transfer.upload import Uploads
from adapter.transfer.verified_body import max_hash_threads

log = logging.getLogger(__name__)

_LONGEST_WAIT: Final = 3600.0
"""Seconds in a `Retry-After` of ours, whatever SWR's says."""


def create_contract_app(settings: Settings, swr: SwrClient) -> Flask:
    """Routes of `docs/facts/harbor.md D.1`, `D.2`, `D.4`; errors in the envelope of their surface."""
    app = Flask("adapter.contract", static_folder=None)
    # A redirect to a tidier path would lose a body, and a name with an empty component must be refused, not repaired.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    tenants = Tenants(settings.tenants)
    slots = Slots(
        settings.threads,
        "transfers (limit, SWR_ADAPTER_THREADS)",
        tenants=tenants,
        per_tenant=settings.transfers_per_tenant,
    )
    calls = _pair(CALLS, UNPROVEN_CALLS, "requests", tenants)
    admit(app, swr, calls=calls, checks=_pair(CHECKS, UNPROVEN_CHECKS, "checks", tenants))
    locations = BlobLocations(swr.state)
    hash_threads = threading.Semaphore(max_hash_threads())
    transfers = Uploads(
        swr.uploads,
        verify=settings.verify_uploads,
        max_layer_bytes=settings.max_layer_bytes,
        locations=locations,
        hash_threads=hash_threads,
    )
    offered = Mounts(swr, locations, settings.mount, hash_threads)
    convert = settings.oci_index == "translate"
    documents = ManifestService(swr, convert=convert)
    app.register_blueprint(system.create_registry_blueprint(swr))
    app.register_blueprint(manifests.create_blueprint(swr, documents))
    app.register_blueprint(blobs.create_blueprint(swr, slots, locations, settings.blob_redirects))
    app.register_blueprint(tags.create_blueprint(swr))
    app.register_blueprint(tags.create_catalog_blueprint(swr))
    app.register_blueprint(deletion.create_blueprint(swr, documents))
    app.register_blueprint(uploads.create_blueprint(swr, transfers, offered, slots, settings.public_url))
    app.register_blueprint(system.create_blueprint(swr))
    app.register_blueprint(projects.create_blueprint(swr))
    app.register_blueprint(repositories.create_blueprint(swr, documents))
    app.register_blueprint(repositories.create_mounts_blueprint(swr, offered))
    app.register_error_handler(AdapterError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _refuse_defect)
    return app


def _pair(number: int, unproven: int, what: str, tenants: Tenants) -> Pair:
    return Pair(
        Slots(number, f"{what} (fixed limit)", tenants=tenants),
        Slots(
            unproven,
            f"{what} with credentials that SWR has not accepted lately (fixed limit)",
            credentials=min(unproven, UNPROVEN_CREDENTIALS),
        ),
    )


def _refuse(error: AdapterError) -> Response:
    on_v2 = request.path == "/v2" or request.path.startswith("/v2/")
    request_id = str(request.environ.get("adapter.request_id", "-"))
    request.environ["adapter.error"] = f"{type(error).__name__}: {error.sentence}"
    body = oci_body(error, request_id) if on_v2 else harbor_body(error, request_id)
    response = Response(body, error.status, error.headers, content_type="application/json; charset=utf-8")
    if on_v2:
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        if isinstance(error, CredentialsError):
            response.headers["WWW-Authenticate"] = CHALLENGE
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(min(error.retry_after, _LONGEST_WAIT))))
    # What is left of a body nobody reads would be taken for the next request.
    if (request.content_length or "Transfer-Encoding" in request.headers) and "adapter.force_close" in request.environ:
        request.environ["adapter.force_close"]()
    return response


def _refuse_http(error: HTTPException) -> Response:
    """What Flask itself refuses: unknown routes and methods, malformed requests."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or []))
        return _refuse(MethodUnsupported(f"{request.method} is not supported here", headers={"Allow": allowed}))
    if error.code == 404:
        return _refuse(
            RouteUnknown("no such path: Harbor's registry API for replication is served here, under /v2 and /api")
        )
    if (error.code or 500) >= 500:
        return _refuse_defect(error)
    return _refuse(InvalidRequest(f"the request cannot be read: {error.name}"))


def _refuse_defect(error: Exception) -> Response:
    log.exception("defect", exc_info=error)
    return _refuse(
        InternalError("internal error in the adapter: search its log for this request ID and report the traceback")
    )
