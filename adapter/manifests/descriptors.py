"""The descriptors in a manifest: configuration, layers, manifests of an index; read and checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapter.errors import DigestInvalid, ManifestInvalid
from adapter.references import check_digest
from adapter.swr.media_types import parse_manifest

Raw = bytes | Mapping[str, Any]
"""A manifest as bytes, or already parsed: a caller that reads it several times parses it once."""

_IMAGE_FIELDS: Final = frozenset({"config", "layers"})
"""Fields that an index does not have: clients differ about a document with one of them and `manifests`
(CVE-2021-41190)."""

_PLATFORM_STRINGS: Final = ("architecture", "os", "os.version", "variant")
_PLATFORM_LISTS: Final = ("os.features", "features")
_MAX_SIZE: Final = (1 << 63) - 1
_MAX_SHOWN: Final = 100


def read_manifest(data: Raw) -> Mapping[str, Any]:
    """The JSON object of a manifest. Raises `ManifestInvalid`."""
    document = parse_manifest(data) if isinstance(data, bytes) else data
    if document is None:
        raise ManifestInvalid("the manifest is invalid (not a JSON object): push the image again")
    if "manifests" in document and not _IMAGE_FIELDS.isdisjoint(document):
        raise ManifestInvalid(
            "the manifest is ambiguous (it has fields of an index and of an image): push the image again"
        )
    return document


def config_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The descriptor of an image's configuration. Raises `ManifestInvalid`."""
    return check_descriptor(document.get("config"), "config")


def layers_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The descriptors of an image's layers, in order. Raises `ManifestInvalid`."""
    layers = document.get("layers")
    if layers is None:  # Go writes an empty list that was never made as null
        return []
    if not isinstance(layers, list):
        raise ManifestInvalid("the manifest is invalid (layers is not a list): push the image again")
    return [check_descriptor(layer, "a layer") for layer in layers]


def check_descriptor(found: object, what: str) -> Mapping[str, Any]:
    """`found` if it is a descriptor with a valid media type, digest and size; `what` is its description in an error.

    Raises `ManifestInvalid`.
    """
    if not isinstance(found, dict) or not isinstance(found.get("mediaType"), str):
        raise ManifestInvalid(f"the manifest is invalid ({what} has no mediaType): push the image again")
    digest, size = found.get("digest"), found.get("size")
    try:
        check_digest(digest if isinstance(digest, str) else "")
    except DigestInvalid:
        raise ManifestInvalid(f"the manifest is invalid ({what} has no valid digest): push the image again") from None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise ManifestInvalid(f"the manifest is invalid ({what}, {digest}, has no valid size): push the image again")
    return found


def platform_of(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """The platform of an image of an index, without fields that Docker's list does not have, and without empty ones.

    Raises `ManifestInvalid`.
    """
    platform = descriptor.get("platform")
    if platform is None:
        return {}
    if not isinstance(platform, dict):
        raise ManifestInvalid(
            f"the index is invalid (the platform of {descriptor['digest']} is not an object): push the image again"
        )
    found: dict[str, Any] = {}
    for key in _PLATFORM_STRINGS:
        value = platform.get(key)
        if value is not None and not isinstance(value, str):
            raise ManifestInvalid(
                f"the index is invalid ({key} of {descriptor['digest']} is not a string): push the image again"
            )
        if value:
            found[key] = value
    for key in _PLATFORM_LISTS:
        if strings := strings_of(platform, key):
            found[key] = strings
    return found


def strings_of(holder: Mapping[str, Any], key: str) -> list[str]:
    """The list of strings under a key, empty if the key is missing. Raises `ManifestInvalid`."""
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ManifestInvalid(f"the manifest is invalid ({key} is not a list of strings): push the image again")
    return value


def printable(text: str) -> str:
    """Text from a caller, shortened and printable, for a message."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_SHOWN])
    return shown + ("..." if len(text) > _MAX_SHOWN else "")
