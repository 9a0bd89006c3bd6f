"""Responses of Harbor core as the portal must see them, and errors in Harbor's format. No I/O.

Each method of `ResponseTranslation` returns its argument itself if nothing in it is about the adapter, or if its shape
is unexpected. A changed document shares all unchanged parts with the original.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from adapter.provider.constants import NAME
from adapter.provider.endpoints import Endpoints
from adapter.provider.json_edit import dump, edit
from adapter.state import MemoryState
from adapter.text import plain

UNHEALTHY: Final = "the registry is unhealthy"
"""The message of core if its check of an endpoint fails for any reason (`docs/facts/harbor.md A.5`)."""


@dataclass(frozen=True)
class ResponseTranslation:
    """The translation from core to portal. The routes are those of `docs/facts/harbor.md A.5`."""

    endpoints: Endpoints
    regions: EndpointRegions

    def adapters(self, document: Any) -> Any:
        """`["ali-acr", ...]` with the SWR provider at its end."""
        if not isinstance(document, list) or NAME in document:
            return document
        return [*document, NAME]

    def adapter_infos(self, document: Any) -> Any:
        """`{"<type>": {"endpoint_pattern": ...}}` with an entry that offers the URL of each region.

        The entry has no `credential_pattern`: with one, the portal shows the secret in a text area
        (`docs/facts/harbor.md B.3`).
        """
        if not isinstance(document, dict) or NAME in document:
            return document
        regions = [{"key": region, "value": hosts.registry} for region, hosts in self.endpoints.regions.items()]
        pattern = {"endpoint_type": "EndpointPatternTypeList", "endpoints": regions}
        return {**document, NAME: {"endpoint_pattern": pattern}}

    def registry(self, document: Any) -> Any:
        """An endpoint of the adapter, with the provider's name and the registry URL of the region of its Access ID."""
        if not self._is_of_adapter(document):
            if isinstance(document, dict) and type(document.get("id")) is int:
                # It may have been of the adapter, and changed without the provider port.
                self.regions.forget(document["id"])
            return document
        credential = document.get("credential")
        if not isinstance(credential, dict) and document["id"] in self.regions:
            return self._without_credential(document)
        access_id = credential.get("access_key") if isinstance(credential, dict) else None
        region = self.endpoints.region_of_access_id(access_id)
        self.regions.remember(document["id"], region)
        return self._shown(document, region)

    def registries(self, document: Any) -> Any:
        return _each(document, self.registry)

    def policy(self, document: Any) -> Any:
        """A replication rule, in which either endpoint may be of the adapter."""
        return _members(document, self.registry, "src_registry", "dest_registry")

    def policies(self, document: Any) -> Any:
        return _each(document, self.policy)

    def summary(self, document: Any) -> Any:
        """A project's summary. The endpoint in it has no credential, so its region is the remembered one."""
        return _members(document, self._without_credential, "registry")

    def info(self, document: Any) -> Any:
        """The capabilities of an endpoint of the adapter."""
        return {**document, "type": NAME} if isinstance(document, dict) and "type" in document else document

    def _without_credential(self, document: Any) -> Any:
        if not self._is_of_adapter(document):
            return document
        return self._shown(document, self.regions.region(document["id"]))

    def _is_of_adapter(self, document: Any) -> bool:
        """Decided by the URL. Id 0 is Harbor itself."""
        if not isinstance(document, dict):
            return False
        endpoint = document.get("id")
        return type(endpoint) is int and endpoint > 0 and self.endpoints.is_adapter(document.get("url"))

    def _shown(self, document: dict[str, Any], region: str | None) -> dict[str, Any]:
        """Without a URL if the region is unknown, because the adapter's own URL is of no use to a person."""
        shown = {**document, "type": NAME}
        if region is None:
            del shown["url"]
        else:
            shown["url"] = self.endpoints.registry(region)
        return shown


def _each(document: Any, translate: Callable[[Any], Any]) -> Any:
    if not isinstance(document, list):
        return document
    after = [translate(each) for each in document]
    return document if all(new is old for new, old in zip(after, document, strict=True)) else after


def _members(document: Any, translate: Callable[[Any], Any], *keys: str) -> Any:
    if not isinstance(document, dict):
        return document
    translated = {key: translate(document[key]) for key in keys if key in document}
    changed = {key: value for key, value in translated.items() if value is not document[key]}
    return {**document, **changed} if changed else document


class EndpointRegions:
    """Remembers the region of each endpoint id, None if its Access ID has no known region. Safe for threads.

    The oldest of more than `max_entries` are dropped.
    """

    def __init__(self, max_entries: int = 4096) -> None:
        self._regions = MemoryState(max_entries)

    def remember(self, endpoint: int, region: str | None) -> None:
        self._regions.put(str(endpoint), (region or "").encode(), math.inf)

    def forget(self, endpoint: int) -> None:
        self._regions.drop(str(endpoint))

    def region(self, endpoint: int) -> str | None:
        return (self._regions.get(str(endpoint)) or b"").decode() or None

    def __contains__(self, endpoint: int) -> bool:
        return self._regions.get(str(endpoint)) is not None


def error_body(code: str, message: str) -> bytes:
    """`{"errors":[{"code","message"}]}` in ASCII, as Harbor writes it (`docs/facts/harbor.md A.5`).

    The portal shows the message when an endpoint is saved.
    """
    return dump({"errors": [{"code": code, "message": plain(message)}]})


def add_reason(body: bytes, reason: str) -> bytes:
    """Core's error body with `: <reason>` after `UNHEALTHY`. Returns `body` itself if it has another message."""

    def change(document: Any) -> Any:
        errors = document.get("errors") if isinstance(document, dict) else None
        if not isinstance(errors, list) or len(errors) != 1 or not isinstance(errors[0], dict):
            return document
        if errors[0].get("message") != UNHEALTHY:
            return document
        return {**document, "errors": [{**errors[0], "message": f"{UNHEALTHY}: {plain(reason)}"}]}

    return edit(body, change)
