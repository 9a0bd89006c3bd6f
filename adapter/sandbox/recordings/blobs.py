"""Finds bytes that a recording contains only as a digest, in the images of the recording."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

from adapter.sandbox.recording import Body, Request
from adapter.sandbox.recordings.images import Image, digest, walk


class MissingBodyError(LookupError):
    """No image has these bytes; the message contains digest and length."""


class Blobs(Mapping[str, bytes]):
    """All blobs and manifests of the images, by digest (`sha256:<hex>`)."""

    def __init__(self, images: Iterable[Image]) -> None:
        self._by_digest = {digest(data): data for image in images for data in walk(image)}

    def __getitem__(self, key: str) -> bytes:
        return self._by_digest[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_digest)

    def __len__(self) -> int:
        return len(self._by_digest)

    def body(self, request: Request) -> bytes:
        """The bytes of the request body, found by digest or as the slice of `Content-Range`.

        :raises MissingBodyError: when no image has them.
        """
        body = request.body
        if body is None:
            return b""
        if body.data is not None:
            return body.data
        found = self.get(body.digest)
        if found is None:
            found = self._slice(request.header("Content-Range") or "", body)
        if found is None:
            raise MissingBodyError(f"no image has the body {body.digest} of {body.length} bytes")
        return found

    def _slice(self, content_range: str, body: Body) -> bytes | None:
        match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", content_range)
        if not match:
            return None
        start, end = int(match[1]), int(match[2]) + 1
        candidates = (data[start:end] for data in self.values() if len(data) >= end)
        return next((part for part in candidates if hashlib.sha256(part).hexdigest() == body.sha256), None)
