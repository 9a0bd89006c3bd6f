"""Documents of the portal, and of any other client, as core shall see them. Documents in, documents out; no I/O.

What is not ours comes back as the very object that was given.
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
class Order:
    """What goes to core, and the credentials that SWR is asked about before."""

    document: Any
    credentials: Credentials | None = None
    asked: bool = False
    """Whether core has shown the stored endpoint to the caller."""


@dataclass(frozen=True)
class RequestTranslation:
    """The translation from portal to core; `carrier` is the stock type that core stores for an endpoint of ours.

    All of it raises `InvalidRequest` or `CredentialsError` with what to enter instead.
    """

    endpoints: Endpoints
    carrier: str

    def create(self, document: Any) -> Order:
        """`POST /registries`: the credentials stand in `credential` (`docs/facts/harbor.md A.5`)."""
        tidy = _tidy(document)
        credential = _tidy(tidy.get("credential"))
        return self._whole(document, tidy, credential)

    def ping(self, document: Any, stored: Any) -> Order:
        """`POST /registries/ping`: whole and flat for a new endpoint, or `id` and what was changed."""
        tidy = _tidy(document)
        if stored is None:
            return self._whole(document, tidy, tidy)
        ours = self._stored_here(stored)
        named = is_one_of(tidy.get("type"), NAMES)
        other_type = tidy.get("type") not in (None, stored.get("type"))
        if not named and (not ours or other_type):
            return Order(document)
        return self._changes(document, tidy, stored)

    def edit(self, document: Any, stored: Any) -> Order:
        """`PUT /registries/{id}`: what was changed, flat. Core never changes a type, so the stored URL decides."""
        return self._changes(document, _tidy(document), stored) if self._stored_here(stored) else Order(document)

    def _stored_here(self, stored: Mapping[str, Any]) -> bool:
        return self.endpoints.is_adapter(stored.get("url"))

    def _whole(self, document: Any, tidy: dict[str, Any], credential: dict[str, Any]) -> Order:
        kind, url = tidy.get("type"), tidy.get("url")
        named = is_one_of(kind, NAMES)
        if not named and not (is_one_of(kind, CARRIERS) and self.endpoints.is_adapter(url)):
            return Order(document)
        access_id, secret = _text(credential, "access_key"), _secret(credential)
        if not named:
            # A script that knows the adapter by its own URL. Without credentials the contract door says what to enter.
            told = access_id or _text(credential, "access_secret")
            return Order(document, self._credentials(access_id, secret) if told else None)
        region = self.endpoints.region_of_url(_text(tidy, "url"))
        credentials = self._credentials(access_id, secret)
        self._match(region, credentials)
        return Order({**tidy, "type": self.carrier, "url": self.endpoints.adapter}, credentials)

    def _changes(self, document: Any, tidy: dict[str, Any], stored: Mapping[str, Any]) -> Order:
        after = dict(tidy)
        if is_one_of(after.get("type"), NAMES):
            after["type"] = stored.get("type", self.carrier) if self._stored_here(stored) else self.carrier
        if _is_masked(after.get("access_secret")):
            del after["access_secret"]
        given = {key for key in ("url", "access_key", "access_secret") if after.get(key) is not None}
        credentials = None
        if given:
            region = self.endpoints.region_of_url(_text(after, "url")) if "url" in given else None
            secret = _text(after, "access_secret") if "access_secret" in given else None
            credentials = self._changed_identity(after, stored, secret)
            self._match(region, credentials)
            if region is not None:
                # As it is stored: core forgets the secret of an endpoint whose URL changes (docs/facts/harbor.md A.5).
                after["url"] = stored["url"] if self._stored_here(stored) else self.endpoints.adapter
            credentials = credentials if secret is not None else None
        return Order(document if after == document else after, credentials)

    def _changed_identity(self, after: dict[str, Any], stored: Mapping[str, Any], secret: str | None) -> Credentials:
        """With the stored Access ID where none was sent; a stored secret is not known here, and not needed."""
        if after.get("access_key") is not None:
            access_id = _text(after, "access_key")
        else:
            access_id = _text(_tidy(stored.get("credential")), "access_key")
        return self._credentials(access_id, "stored" if secret is None else secret)

    def _credentials(self, access_id: str, secret: str) -> Credentials:
        if secret.strip() and not access_id.strip():
            raise AccessIdMalformed(f"an Access Secret without Access ID: {FORM}")
        if any("\ud800" <= letter <= "\udfff" for letter in secret):
            # Half a surrogate pair is JSON, but no text: no key can be made from it.
            raise InvalidRequest("access_secret must be text")
        return parse_credentials(access_id, secret, self.endpoints.regions)

    def _match(self, region: str | None, credentials: Credentials) -> None:
        """The region shown is that of the Access ID, so both must say the same."""
        if region is not None and region != credentials.region:
            raise InvalidRequest(
                f"the Endpoint URL is that of region {region}, but project '{credentials.project}' of the Access ID "
                f"lies in {credentials.region}: enter {self.endpoints.registry(credentials.region)} as Endpoint URL, "
                f"or the Access ID of a project in {region}"
            )


def needs_stored(document: Any) -> bool:
    """Whether an edit touches what only the stored endpoint decides about."""
    tidy = _tidy(document)
    if is_one_of(tidy.get("type"), NAMES):
        return True
    return any(tidy.get(key) is not None for key in ("url", "access_key", "access_secret"))


def endpoint_of(document: Any) -> int | None:
    """The `id` of a ping; None for a new endpoint, and for Harbor's own entry."""
    endpoint = _tidy(document).get("id")
    return endpoint if type(endpoint) is int and endpoint > 0 else None


def _tidy(document: Any) -> dict[str, Any]:
    """The members as core reads them: Go matches names whatever their case, and the last one of several wins."""
    if not isinstance(document, dict):
        return {}
    return {
        name if (name := key.lower().replace("ſ", "s")) in _FIELDS else key: value for key, value in document.items()
    }


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{key} must be text")
    return value


def _secret(document: Mapping[str, Any]) -> str:
    """A masked secret is none: somebody sends back what a page showed."""
    secret = _text(document, "access_secret")
    return "" if _is_masked(secret) else secret


def _is_masked(secret: object) -> bool:
    return isinstance(secret, str) and secret.strip() == MASK
