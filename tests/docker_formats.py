"""Docker's manifest list and schema 2 as JSON schemas, after the published format, and what a document breaks of them.

https://distribution.github.io/distribution/spec/manifest-v2-2/. The format says nothing of other fields: here none but
`annotations` may be there, so that nothing of OCI's comes along unseen. A list may name OCI manifests, as skopeo's do
(`docs/facts/swr.md §10`), and a layer may be uncompressed, as in Docker's own code.
"""

from __future__ import annotations

import json
from typing import Any, Final

from openapi_schema_validator import OAS31Validator

_DOCKER: Final = "application/vnd.docker."
_LAYER: Final = f"{_DOCKER}image.rootfs.diff.tar"
_FOREIGN: Final = f"{_DOCKER}image.rootfs.foreign.diff.tar"

_SIZE: Final = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
_DIGEST: Final = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"}
_ANNOTATIONS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}


def _closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": sorted(required),
        "properties": required | optional,
        "additionalProperties": False,
    }


def _descriptor(*types: str, **more: Any) -> dict[str, Any]:
    return _closed({"mediaType": {"enum": list(types)}, "size": _SIZE, "digest": _DIGEST, **more})


def _document(media_type: str, **fields: Any) -> dict[str, Any]:
    return _closed(
        {"schemaVersion": {"const": 2}, "mediaType": {"const": media_type}, **fields}, annotations=_ANNOTATIONS
    )


SCHEMA_2: Final = _document(
    f"{_DOCKER}distribution.manifest.v2+json",
    config=_descriptor(f"{_DOCKER}container.image.v1+json"),
    layers={
        "type": "array",
        "items": {
            "oneOf": [
                _descriptor(_LAYER, f"{_LAYER}.gzip"),
                # Docker's own registry refuses a foreign layer without an address, and any other with one.
                _descriptor(_FOREIGN, f"{_FOREIGN}.gzip", urls={**_TEXTS, "minItems": 1}),
            ]
        },
    },
)

_PLATFORM: Final = _closed(
    {"architecture": _TEXT, "os": _TEXT},
    **{"os.version": _TEXT, "os.features": _TEXTS, "variant": _TEXT, "features": _TEXTS},
)

MANIFEST_LIST: Final = _document(
    f"{_DOCKER}distribution.manifest.list.v2+json",
    manifests={
        "type": "array",
        "minItems": 1,
        "items": _descriptor(
            f"{_DOCKER}distribution.manifest.v2+json",
            "application/vnd.oci.image.manifest.v1+json",
            platform=_PLATFORM,
        ),
    },
)


def faults(schema: dict[str, Any], data: bytes) -> list[str]:
    """Why the bytes are no document of the schema; empty when they are one."""
    errors = OAS31Validator(schema).iter_errors(json.loads(data))
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]
