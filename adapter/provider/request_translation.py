"""Request bodies as Harbor core must see them. Documents in, documents out; no I/O.

A document that is not about an endpoint of the adapter is returned as the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter.credentials import FORM, Credentials, parse_credentials
from adapter.errors import AccessIdMalformed, InvalidRequest
from adapter.provider.constants import CARRIERS, MASK, NAMES, is_one_of
from adapter.provider.endpoints import Endpoints

_FIELDS: Final = frozenset({"id", "type", "url", "credential", "access_key", "access_secret"})


@dataclass(frozen=True)
class TranslatedRequest:
    """The document for core, and the credentials that SWR must confirm first, if any."""

    document: Any
    credentials: Credentials | None = None
    authorized: bool = False
    """Whether core has returned the stored endpoint to the caller."""


@dataclass(frozen=True)
class RequestTranslation:
    """The translation from portal to core. `carrier` is the stock type that core stores for the SWR provider.

    All methods raise `InvalidRequest` or `CredentialsError` with what to enter.
    """

    endpoints: Endpoints
    carrier: str

    def create(self, document: Any) -> TranslatedRequest:
        """`POST /registries`, which has the credentials in `credential` (`docs/facts/harbor.md A.5`)."""
        fields = _canonical(document)
        return self._new(document, fields, _canonical(fields.get("credential")))

    def ping(self, document: Any, stored: Any) -> TranslatedRequest:
        """`POST /registries/ping`: a new endpoint without nesting, or `id` and the changed fields."""
        fields = _canonical(document)
        if stored is None:
            return self._new(document, fields, fields)
        named = is_one_of(fields.get("type"), NAMES)
        other_type = fields.get("type") not in (None, stored.get("type"))
        if not named and (not self._is_stored_here(stored) or other_type):
            return TranslatedRequest(document)
        return self._changed(document, fields, stored)

    def edit(self, document: Any, stored: Any) -> TranslatedRequest:
        """`PUT /registries/{id}`: the changed fields. Core never changes a type, so the stored URL decides."""
        if not self._is_stored_here(stored):
            return TranslatedRequest(document)
        return self._changed(document, _canonical(document), stored)

    def _is_stored_here(self, stored: Mapping[str, Any]) -> bool:
        return self.endpoints.is_adapter(stored.get("url"))

    def _new(self, document: Any, fields: dict[str, Any], credential: dict[str, Any]) -> TranslatedRequest:
        kind, url = fields.get("type"), fields.get("url")
        named = is_one_of(kind, NAMES)
        if not named and not (is_one_of(kind, CARRIERS) and self.endpoints.is_adapter(url)):
            return TranslatedRequest(document)
        access_id, secret = _string(credential, "access_key"), _secret(credential)
        if not named:
            # A script that uses the adapter's own URL. Without credentials, the contract port reports what to enter.
            entered = access_id or _string(credential, "access_secret")
            return TranslatedRequest(document, self._credentials(access_id, secret) if entered else None)
        region = self.endpoints.region_of_url(_string(fields, "url"))
        credentials = self._credentials(access_id, secret)
        self._require_same_region(region, credentials)
        return TranslatedRequest({**fields, "type": self.carrier, "url": self.endpoints.adapter}, credentials)

    def _changed(self, document: Any, fields: dict[str, Any], stored: Mapping[str, Any]) -> TranslatedRequest:
        after = dict(fields)
        if is_one_of(after.get("type"), NAMES):
            after["type"] = stored.get("type", self.carrier) if self._is_stored_here(stored) else self.carrier
        if _is_masked(after.get("access_secret")):
            del after["access_secret"]
        given = {key for key in ("url", "access_key", "access_secret") if after.get(key) is not None}
        credentials = None
        if given:
            region = self.endpoints.region_of_url(_string(after, "url")) if "url" in given else None
            secret = _string(after, "access_secret") if "access_secret" in given else None
            credentials = self._changed_credentials(after, stored, secret)
            self._require_same_region(region, credentials)
            if region is not None:
                # As stored: core drops the secret of an endpoint whose URL changes (docs/facts/harbor.md A.5).
                after["url"] = stored["url"] if self._is_stored_here(stored) else self.endpoints.adapter
            credentials = credentials if secret is not None else None
        return TranslatedRequest(document if after == document else after, credentials)

    def _changed_credentials(self, after: dict[str, Any], stored: Mapping[str, Any], secret: str | None) -> Credentials:
        """Uses the stored Access ID if none was sent. The stored secret is masked; only region and project count."""
        if after.get("access_key") is not None:
            access_id = _string(after, "access_key")
        else:
            access_id = _string(_canonical(stored.get("credential")), "access_key")
        return self._credentials(access_id, "stored" if secret is None else secret)

    def _credentials(self, access_id: str, secret: str) -> Credentials:
        if secret.strip() and not access_id.strip():
            raise AccessIdMalformed(f"Access Secret without an Access ID: {FORM}")
        if any("\ud800" <= letter <= "\udfff" for letter in secret):
            # JSON may contain half of a surrogate pair, from which no key can be made.
            raise InvalidRequest("access_secret must be a string of valid Unicode: enter it again")
        return parse_credentials(access_id, secret, self.endpoints.regions)

    def _require_same_region(self, region: str | None, credentials: Credentials) -> None:
        """Pages show the region of the Access ID, so that of the URL must be the same."""
        if region is not None and region != credentials.region:
            raise InvalidRequest(
                f"region mismatch (the Endpoint URL is in {region}, project '{credentials.project}' of the Access ID "
                f"is in {credentials.region}): enter {self.endpoints.registry(credentials.region)} as Endpoint URL, or "
                f"the Access ID of a project in {region}"
            )


def needs_stored(document: Any) -> bool:
    """Whether an edit can only be translated with the stored endpoint."""
    fields = _canonical(document)
    if is_one_of(fields.get("type"), NAMES):
        return True
    return any(fields.get(key) is not None for key in ("url", "access_key", "access_secret"))


def endpoint_of(document: Any) -> int | None:
    """The `id` of a ping. None for a new endpoint, and for Harbor's own entry, which has id 0."""
    endpoint = _canonical(document).get("id")
    return endpoint if type(endpoint) is int and endpoint > 0 else None


def _canonical(document: Any) -> dict[str, Any]:
    """The members by the names that core matches: Go ignores case, and the last of several members counts."""
    if not isinstance(document, dict):
        return {}
    return {
        name if (name := key.lower().replace("ſ", "s")) in _FIELDS else key: value for key, value in document.items()
    }


def _string(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{key} must be a string: enclose the value in quotes")
    return value


def _secret(document: Mapping[str, Any]) -> str:
    """The secret; nothing if it is masked, because the client returned the mask that a page showed."""
    secret = _string(document, "access_secret")
    return "" if _is_masked(secret) else secret


def _is_masked(secret: object) -> bool:
    return isinstance(secret, str) and secret.strip() == MASK
