"""Documents of Harbor's core as the portal shall see them. Documents in, documents out; no I/O.

Each function returns the very object that it was given when nothing in it is ours or its shape is not the expected
one, and shares with it all that it did not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from adapter.provider.constants import NAME
from adapter.provider.endpoints import Endpoints
from adapter.state import MemoryState


@dataclass(frozen=True)
class ResponseTranslation:
    """The translation from core to portal; the routes are those of `docs/facts/harbor.md A.5`."""

    endpoints: Endpoints
    remembered: EndpointRegions

    def adapters(self, document: Any) -> Any:
        """`["ali-acr", …]` with our name at its end; nothing in it tells one stock type from another."""
        if not isinstance(document, list) or NAME in document:
            return document
        return [*document, NAME]

    def adapter_infos(self, document: Any) -> Any:
        """`{"<type>": {"endpoint_pattern": …}}` with an entry of ours, which offers each region's URL as a click.

        Without a `credential_pattern`, whose mere presence makes the secret a text area (`docs/facts/harbor.md B.3`).
        """
        if not isinstance(document, dict) or NAME in document:
            return document
        regions = [{"key": region, "value": hosts.registry} for region, hosts in self.endpoints.regions.items()]
        pattern = {"endpoint_type": "EndpointPatternTypeList", "endpoints": regions}
        return {**document, NAME: {"endpoint_pattern": pattern}}

    def registry(self, document: Any) -> Any:
        """An endpoint: our type, and the URL of the region that its Access ID names."""
        if not self._ours(document):
            if isinstance(document, dict) and type(document.get("id")) is int:
                # It may have been ours, and changed by another way than through this door.
                self.remembered.forget(document["id"])
            return document
        credential = document.get("credential")
        if not isinstance(credential, dict) and document["id"] in self.remembered:
            return self._summarised(document)
        access_id = credential.get("access_key") if isinstance(credential, dict) else None
        region = self.endpoints.region_of_access_id(access_id)
        self.remembered.note(document["id"], region)
        return self._shown(document, region)

    def registries(self, document: Any) -> Any:
        return _each(document, self.registry)

    def policy(self, document: Any) -> Any:
        """A replication rule; either side may be ours."""
        return _within(document, self.registry, "src_registry", "dest_registry")

    def policies(self, document: Any) -> Any:
        return _each(document, self.policy)

    def summary(self, document: Any) -> Any:
        """A project's summary: the endpoint in it has no credential, so the region is the remembered one."""
        return _within(document, self._summarised, "registry")

    def info(self, document: Any) -> Any:
        """The capabilities of an endpoint that is known to be ours."""
        return {**document, "type": NAME} if isinstance(document, dict) and "type" in document else document

    def _summarised(self, document: Any) -> Any:
        if not self._ours(document):
            return document
        return self._shown(document, self.remembered.region(document["id"]))

    def _ours(self, document: Any) -> bool:
        """By its URL alone; id 0 is Harbor itself."""
        if not isinstance(document, dict):
            return False
        endpoint = document.get("id")
        return type(endpoint) is int and endpoint > 0 and self.endpoints.is_adapter(document.get("url"))

    def _shown(self, document: dict[str, Any], region: str | None) -> dict[str, Any]:
        """Without a URL where the region is not known: the adapter's own means nothing to a person."""
        shown = {**document, "type": NAME}
        if region is None:
            del shown["url"]
        else:
            shown["url"] = self.endpoints.registry(region)
        return shown


def _each(document: Any, translate: Any) -> Any:
    if not isinstance(document, list):
        return document
    after = [translate(each) for each in document]
    return document if all(new is old for new, old in zip(after, document, strict=True)) else after


def _within(document: Any, translate: Any, *keys: str) -> Any:
    if not isinstance(document, dict):
        return document
    changed = {key: translate(document[key]) for key in keys if key in document}
    changed = {key: value for key, value in changed.items() if value is not document[key]}
    return {**document, **changed} if changed else document


class EndpointRegions:
    """Endpoint id → region, None where the Access ID names none. Safe for threads; the oldest go first."""

    def __init__(self, most: int = 4096) -> None:
        self._regions = MemoryState(most)

    def note(self, endpoint: int, region: str | None) -> None:
        self._regions.put(str(endpoint), (region or "").encode(), math.inf)

    def forget(self, endpoint: int) -> None:
        self._regions.drop(str(endpoint))

    def region(self, endpoint: int) -> str | None:
        return (self._regions.get(str(endpoint)) or b"").decode() or None

    def __contains__(self, endpoint: int) -> bool:
        return self._regions.get(str(endpoint)) is not None
