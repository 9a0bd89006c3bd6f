"""`/v2/<name>/blobs/uploads/` (OCI distribution spec, "Pushing blobs"; `docs/facts/harbor.md D.2`)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Request, Response, request

from adapter.contract.auth import repository_of
from adapter.contract.concurrency import Slots, authorized_transfer, transfer
from adapter.contract.headers import empty_response
from adapter.errors import DigestInvalid, NameInvalid, RangeInvalid, UploadUnknown
from adapter.references import parse_repository
from adapter.swr.client import SwrClient
from adapter.swr.repository import Repository
from adapter.transfer.body_source import source_of
from adapter.transfer.mount import Mounts, Transfer
from adapter.transfer.request_body import announced_length
from adapter.transfer.session_token import sign_session, verify_session
from adapter.transfer.upload import Incoming, Uploads
from adapter.transfer.upload_session import UploadSession, parse_content_range
from adapter.transfer.verified_body import check_supported

HARBOR_USER_AGENT: Final = "harbor-registry-client"
"""The `User-Agent` of Harbor's client, without its version (`docs/facts/harbor.md D.1`)."""

_UPLOADS: Final = "/v2/<path:name>/blobs/uploads/"
_UPLOAD: Final = f"{_UPLOADS}<token>"


def create_blueprint(
    swr: SwrClient, transfers: Uploads, mounts: Mounts, slots: Slots, public_url: str | None
) -> Blueprint:
    """POST opens an upload; GET, PATCH, PUT and DELETE are requests to its location."""
    blueprint = Blueprint("uploads", __name__)

    def session_of(name: str, token: str) -> UploadSession:
        return _verified_session(swr, repository_of(request, swr, name), token)

    def transfer_to(repository: Repository) -> AbstractContextManager[None]:
        return authorized_transfer(swr, slots, repository)

    @blueprint.route(_UPLOADS, methods=["POST"])
    def start(name: str) -> Response:
        repository = repository_of(request, swr, name)
        if (digest := request.args.get("digest")) is not None:
            incoming = incoming_of(request)
            reserve = functools.partial(transfer, slots, repository.credentials)
            transfers.whole(repository, check_supported(digest), incoming, reserve)
            return _created(repository, digest)
        if (digest := request.args.get("mount")) is None:
            return _upload_response(transfers.start(repository), public_url)
        session = _mount(transfers, mounts, repository, check_supported(digest), lambda: transfer_to(repository))
        return _created(repository, digest) if session is None else _upload_response(session, public_url)

    @blueprint.route(_UPLOAD, methods=["PATCH"])
    def chunk(name: str, token: str) -> Response:
        session = session_of(name, token)
        with _location_in_range_error(transfers, session, public_url), transfer_to(session.repository):
            return _upload_response(transfers.chunk(session, incoming_of(request)), public_url)

    @blueprint.route(_UPLOAD, methods=["PUT"])
    def finish(name: str, token: str) -> Response:
        session = session_of(name, token)
        digest = _required_digest(request)
        with _location_in_range_error(transfers, session, public_url), transfer_to(session.repository):
            transfers.finish(session, digest, incoming_of(request))
        return _created(session.repository, digest)

    @blueprint.route(_UPLOAD, methods=["GET"])
    def status(name: str, token: str) -> Response:
        session = session_of(name, token)
        return _upload_response(transfers.status(session, harbor=_is_harbor(request)), public_url, 204)

    @blueprint.route(_UPLOAD, methods=["DELETE"])
    def cancel(name: str, token: str) -> Response:
        transfers.cancel(session_of(name, token))
        return empty_response(204, {})

    return blueprint


def _required_digest(incoming: Request) -> str:
    """The parameter `digest`. Raises `DigestInvalid`."""
    digest = incoming.args.get("digest")
    if digest is None:
        raise DigestInvalid("the upload cannot be finished without its digest: add ?digest=sha256:<hex>")
    return check_supported(digest)


def _verified_session(swr: SwrClient, repository: Repository, token: str) -> UploadSession:
    """The session in a location. Raises `UploadUnknown`, or SWR's error if the credentials are wrong.

    The secret is the key of the location's signature, so with a wrong secret every location looks invalid.
    """
    try:
        return verify_session(token, repository)
    except UploadUnknown:
        swr.registry.authorize(repository)
        raise


def _mount(
    transfers: Uploads,
    mounts: Mounts,
    repository: Repository,
    digest: str,
    reserve: Transfer,
) -> UploadSession | None:
    """None if the blob is in the repository now, otherwise an open upload for it.

    An invalid `from` also opens an upload (OCI distribution spec, "Mounting a blob from another repository"), but not
    for Harbor, which treats 202 as mounted: Harbor gets `NameInvalid`.
    """
    harbor = _is_harbor(request)
    try:
        source = parse_repository(request.args["from"]) if "from" in request.args else None
    except NameInvalid:
        if harbor:
            raise
        return transfers.start(repository)
    return mounts.mount(repository, digest, source, harbor=harbor, transfer=reserve)


def _is_harbor(incoming: Request) -> bool:
    return incoming.headers.get("User-Agent", "").startswith(HARBOR_USER_AGENT)


def incoming_of(incoming: Request) -> Incoming:
    """The body, with its announced length and range. Raises `RangeInvalid`."""
    return Incoming(
        source_of(incoming.environ),
        announced_length(incoming.environ),
        parse_content_range(incoming.headers.get("Content-Range")),
    )


def _upload_response(session: UploadSession, public_url: str | None, status: int = 202) -> Response:
    headers = {"Range": session.range, "Docker-Upload-UUID": session.id}
    return empty_response(status, _location(session, public_url) | headers)


def _location(session: UploadSession, public_url: str | None) -> dict[str, str]:
    """The location for the next request and the range received so far. An empty upload has no Range, because `0-0`
    means one byte."""
    path = f"/v2/{session.repository}/blobs/uploads/{sign_session(session)}"
    return {"Location": _absolute(path, public_url)} | ({"Range": session.range} if session.offset else {})


@contextlib.contextmanager
def _location_in_range_error(transfers: Uploads, session: UploadSession, public_url: str | None) -> Iterator[None]:
    """Adds to `RangeInvalid` the location at which the client can continue."""
    try:
        yield
    except RangeInvalid as error:
        latest = transfers.latest(session)
        error.headers |= _location(replace(latest, doubtful=True), public_url)
        raise


def _absolute(path: str, public_url: str | None) -> str:
    """Absolute if the request has the host of SWR_ADAPTER_PUBLIC_URL: Harbor up to 2.14.4 resumes only at an absolute
    location."""
    if public_url is None or request.host.lower() != urlsplit(public_url).netloc.lower():
        return path
    return public_url + path


def _created(repository: Repository, digest: str) -> Response:
    return empty_response(201, {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest})
