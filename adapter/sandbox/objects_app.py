"""The objects origin: the object store that blob downloads are redirected to. It accepts pre-signed URLs only."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.wsgi import wrap_file

from adapter.sandbox.blobs_app import BUCKET
from adapter.sandbox.context import Context
from adapter.sandbox.upload_files import BLOCK

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def xml_error(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, content_type="application/xml")


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a single range; None for the whole blob.

    :raises ValueError: when the range starts beyond the end.
    """
    match = RANGE.fullmatch(header)
    if not match or match[0] == "bytes=-":
        return None
    if not match[1]:
        first, last = max(size - int(match[2]), 0), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    if first >= size or last < first:
        raise ValueError("not satisfiable")
    return first, last


class Objects:
    """`GET /<bucket>/data/tarsum/<repository>/<digest>/layer?AWSAccessKeyId=…&Expires=…&Signature=…`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def read(self, repository: str, digest: str) -> Response:
        knobs = self._context.knobs
        if "Authorization" in request.headers and knobs.on("objects_refuse_authorization"):
            return xml_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        error = self._context.signer.open_link(request.method, request.path, request.args)
        if error:
            return xml_error(403, error, "Access denied")
        path = self._file(repository, digest)
        if path is None:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        header = request.headers.get("Range", "") if knobs.on("objects_range") else ""
        try:
            span = parse_range(header, path.stat().st_size)
        except ValueError:
            return xml_error(416, "InvalidRange", "The requested range cannot be satisfied.")
        return self._response(path, span)

    def _file(self, repository: str, digest: str) -> Path | None:
        try:
            name = base64.urlsafe_b64decode(repository + "=" * (-len(repository) % 4)).decode()
            path = self._context.store.blob_path(name, digest)
        except (binascii.Error, ValueError):
            return None
        return path if path.is_file() else None

    def _response(self, path: Path, span: tuple[int, int] | None) -> Response:
        size = path.stat().st_size
        first, last = span or (0, size - 1)
        headers = {"Content-Length": str(last - first + 1), "Accept-Ranges": "bytes", "ETag": f'"{path.name[:32]}"'}
        if span:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        if request.method == "HEAD":
            return Response(headers=headers, content_type="application/octet-stream")
        file = path.open("rb")
        file.seek(first)
        body = wrap_file(request.environ, file, BLOCK)
        status = 206 if span else 200
        if not self._context.knobs.on("objects_length"):
            del headers["Content-Length"]
        return Response(body, status, headers, content_type="application/octet-stream", direct_passthrough=True)


def create_objects_app(context: Context) -> Flask:
    """The objects origin as a WSGI application."""
    app = Flask("sandbox-objects")
    path = f"/{BUCKET}/data/tarsum/<repository>/<digest>/layer"
    app.add_url_rule(path, "read", Objects(context).read)
    app.register_error_handler(404, lambda _: xml_error(404, "NoSuchKey", "The specified key does not exist."))
    app.register_error_handler(405, lambda _: xml_error(405, "MethodNotAllowed", "The method is not allowed."))
    return app
