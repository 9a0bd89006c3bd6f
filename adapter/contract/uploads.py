"""`/v2/<name>/blobs/uploads/` (OCI distribution spec, "Pushing blobs"; `docs/facts/harbor.md D.2`)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Request, Response, request

from adapter.contract.auth import repository_of
from adapter.contract.concurrency import Slots, moving, transferring
from adapter.contract.responses import bodiless
from adapter.errors import DigestInvalid, NameInvalid, RangeInvalid, UploadUnknown
from adapter.references import parse_repository
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.transfer.body_source import source_of
from adapter.transfer.mount import Mounts, Transfer
from adapter.transfer.request_body import announced_length
from adapter.transfer.upload import Incoming, Uploads
from adapter.transfer.upload_session import UploadSession, parse_content_range, sign_session, verify_session
from adapter.transfer.verified_body import check_supported

HARBOR: Final = "harbor-registry-client"
"""How Harbor's own client of a registry calls itself (`docs/facts/harbor.md D.1`)."""


def create_blueprint(
    swr: SwrClient, transfers: Uploads, mounts: Mounts, slots: Slots, public_url: str | None
) -> Blueprint:
    """POST on the collection; GET, PATCH, PUT and DELETE on a location."""
    blueprint = Blueprint("uploads", __name__)
    collection, location = "/v2/<path:name>/blobs/uploads/", "/v2/<path:name>/blobs/uploads/<sealed>"

    def opened(name: str, sealed: str) -> UploadSession:
        return _opened(swr, repository_of(request, swr, name), sealed)

    @blueprint.route(collection, methods=["POST"])
    def start(name: str) -> Response:
        repository = repository_of(request, swr, name)
        if (digest := request.args.get("digest")) is not None:
            incoming = incoming_of(request)
            moved = functools.partial(moving, slots, repository.credentials)
            transfers.whole(repository, check_supported(digest), incoming, moved)
            return _created(repository, digest)
        if (wanted := request.args.get("mount")) is None:
            return _accepted(transfers.start(repository), public_url)
        transfer = functools.partial(transferring, swr, slots, repository)
        session = _mounted(transfers, mounts, repository, check_supported(wanted), transfer)
        return _created(repository, wanted) if session is None else _accepted(session, public_url)

    @blueprint.route(location, methods=["PATCH"])
    def chunk(name: str, sealed: str) -> Response:
        session = opened(name, sealed)
        with (
            _told_where(transfers, session, public_url),
            transferring(swr, slots, session.repository),
        ):
            return _accepted(transfers.chunk(session, incoming_of(request)), public_url)

    @blueprint.route(location, methods=["PUT"])
    def finish(name: str, sealed: str) -> Response:
        session = opened(name, sealed)
        digest = request.args.get("digest")
        if digest is None:
            raise DigestInvalid("the upload cannot be finished without its digest: add ?digest=sha256:<hex>")
        check_supported(digest)
        with (
            _told_where(transfers, session, public_url),
            transferring(swr, slots, session.repository),
        ):
            transfers.finish(session, digest, incoming_of(request))
        return _created(session.repository, digest)

    @blueprint.route(location, methods=["GET"])
    def status(name: str, sealed: str) -> Response:
        session = opened(name, sealed)
        return _accepted(transfers.status(session, harbor=_is_harbor(request)), public_url, 204)

    @blueprint.route(location, methods=["DELETE"])
    def cancel(name: str, sealed: str) -> Response:
        session = opened(name, sealed)
        transfers.cancel(session)
        return bodiless(204, {})

    return blueprint


def _opened(swr: SwrClient, repository: Repository, sealed: str) -> UploadSession:
    """Raises `UploadUnknown`, but what SWR refuses the credentials with if they are wrong: the secret is the key of the
    location's signature, so no location fits a wrong one."""
    try:
        return verify_session(sealed, repository)
    except UploadUnknown:
        swr.registry.authorize(repository)
        raise


def _mounted(
    transfers: Uploads,
    mounts: Mounts,
    repository: Repository,
    digest: str,
    transfer: Transfer,
) -> UploadSession | None:
    """None when the blob is there, else the upload that is open for it: also where `from` can name no repository (OCI
    distribution spec, "Mounting a blob from another repository"), but to Harbor, which takes 202 for mounted."""
    harbor = _is_harbor(request)
    try:
        source = parse_repository(request.args["from"]) if "from" in request.args else None
    except NameInvalid:
        if harbor:
            raise
        return transfers.start(repository)
    return mounts.mount(repository, digest, source, harbor=harbor, transfer=transfer)


def _is_harbor(incoming: Request) -> bool:
    return incoming.headers.get("User-Agent", "").startswith(HARBOR)


def incoming_of(incoming: Request) -> Incoming:
    """The body as announced. Raises `RangeInvalid`."""
    return Incoming(
        source_of(incoming.environ),
        announced_length(incoming.environ),
        parse_content_range(incoming.headers.get("Content-Range")),
    )


def _accepted(session: UploadSession, public_url: str | None, status: int = 202) -> Response:
    headers = {"Range": session.range, "Docker-Upload-UUID": session.id}
    return bodiless(status, _where(session, public_url) | headers)


def _where(session: UploadSession, public_url: str | None) -> dict[str, str]:
    """Where the upload goes on, and how far it is; without a byte there is no Range, because `0-0` reads as one."""
    path = f"/v2/{session.repository}/blobs/uploads/{sign_session(session)}"
    return {"Location": _absolute(path, public_url)} | ({"Range": session.range} if session.offset else {})


@contextlib.contextmanager
def _told_where(transfers: Uploads, session: UploadSession, public_url: str | None) -> Iterator[None]:
    """A refused range says where the upload stands."""
    try:
        yield
    except RangeInvalid as error:
        latest = transfers.latest(session)
        error.headers |= _where(replace(latest, doubtful=True), public_url)
        raise


def _absolute(path: str, public_url: str | None) -> str:
    """Absolute where the request came to the host of PUBLIC_URL, because Harbor up to 2.14.4 resumes only from such."""
    if public_url is None or request.host.lower() != urlsplit(public_url).netloc.lower():
        return path
    return public_url + path


def _created(repository: Repository, digest: str) -> Response:
    return bodiless(201, {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest})
