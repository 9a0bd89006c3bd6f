"""The Flask application of the contract listener."""

from __future__ import annotations

import threading

from flask import Flask

from adapter.contract import blobs, manifests, projects, repositories, system, tags, uploads
from adapter.contract.concurrency import (
    CALLS,
    CHECKS,
    UNPROVEN_CALLS,
    UNPROVEN_CHECKS,
    UNPROVEN_CREDENTIALS,
    RequestSlots,
    Slots,
    limit_requests,
)
from adapter.contract.error_bodies import register_error_handlers
from adapter.manifests.service import ManifestService
from adapter.settings import Settings
from adapter.swr.client import SwrClient
from adapter.swr.tenants import Tenants
from adapter.transfer.blob_locations import BlobLocations
from adapter.transfer.mount import Mounts
from adapter.transfer.upload import Uploads
from adapter.transfer.verified_body import max_hash_threads


def create_contract_app(settings: Settings, swr: SwrClient) -> Flask:
    """Routes of `docs/facts/harbor.md D.1`, `D.2`, `D.4`, with error responses in the envelope of each API."""
    app = Flask("adapter.contract", static_folder=None)
    # A redirect to a normalized path would lose the body; a name with an empty component is rejected, not repaired.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    tenants = Tenants(settings.tenants)
    limit_requests(
        app,
        swr,
        calls=_request_slots(CALLS, UNPROVEN_CALLS, "requests", tenants),
        checks=_request_slots(CHECKS, UNPROVEN_CHECKS, "checks", tenants),
    )
    _register_routes(app, settings, swr, tenants)
    register_error_handlers(app)
    return app


def _register_routes(app: Flask, settings: Settings, swr: SwrClient, tenants: Tenants) -> None:
    slots = Slots(
        settings.threads,
        "transfers (limit, SWR_ADAPTER_THREADS)",
        tenants=tenants,
        per_tenant=settings.transfers_per_tenant,
    )
    locations = BlobLocations(swr.state)
    hash_threads = threading.Semaphore(max_hash_threads())
    transfers = Uploads(
        swr.uploads,
        verify=settings.verify_uploads,
        max_layer_bytes=settings.max_layer_bytes,
        locations=locations,
        hash_threads=hash_threads,
    )
    mounts = Mounts(swr, locations, settings.mount, hash_threads)
    service = ManifestService(swr, convert=settings.oci_index == "translate")
    for blueprint in (
        system.create_blueprint(swr),
        manifests.create_blueprint(swr, service),
        blobs.create_blueprint(swr, slots, locations, settings.blob_redirects),
        uploads.create_blueprint(swr, transfers, mounts, slots, settings.public_url),
        tags.create_blueprint(swr),
        manifests.create_deletion_blueprint(swr, service),
        projects.create_blueprint(swr),
        repositories.create_blueprint(swr, service, mounts),
    ):
        app.register_blueprint(blueprint)


def _request_slots(number: int, unproven: int, what: str, tenants: Tenants) -> RequestSlots:
    return RequestSlots(
        Slots(number, f"{what} (fixed limit)", tenants=tenants),
        Slots(
            unproven,
            f"{what} with credentials that SWR has not accepted lately (fixed limit)",
            credentials=min(unproven, UNPROVEN_CREDENTIALS),
        ),
    )
