"""All that calls SWR, built from the settings and shared by every thread of the process."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from adapter.credentials import Credentials
from adapter.errors import AccountBlocked, Denied, Throttled, UpstreamError
from adapter.references import RepositoryName
from adapter.settings import RegionHosts, Settings
from adapter.state import State, open_state
from adapter.swr.blob_uploads import BlobUploads
from adapter.swr.catalog import Catalog
from adapter.swr.deletion import Deletion
from adapter.swr.dockyard import Dockyard
from adapter.swr.management import Management
from adapter.swr.organizations import Organizations
from adapter.swr.registry import Registry
from adapter.swr.repository import Repository
from adapter.swr.retry import BEST_EFFORT, HEALTH_CHECK, RetryPolicy
from adapter.swr.tags import TagLister
from adapter.swr.tokens import Tokens
from adapter.swr.transport import BaseAdapter, Transport

log = logging.getLogger(__name__)

_OUTAGE_SECONDS: Final = 600.0
"""Harbor checks every five minutes; after that an outage is old news."""


@dataclass(frozen=True)
class SwrClient:
    """The parts; build with `build`."""

    regions: Mapping[str, RegionHosts]
    tokens: Tokens
    management: Management
    organizations: Organizations
    catalog: Catalog
    registry: Registry
    uploads: BlobUploads
    tag_lister: TagLister
    deletion: Deletion
    state: State

    @classmethod
    def build(cls, settings: Settings, transport: BaseAdapter | None = None) -> SwrClient:
        """Opens no connection yet. `transport` sends single requests, in place of connections to SWR."""
        regions = region_table(settings.regions)
        state, link = open_state(settings.state_url)
        sender = Transport(settings, link, transport)
        tokens = Tokens(sender, regions, state)
        management = Management(sender, regions, settings.signing, state)
        dockyard = Dockyard(sender, regions)
        organizations = Organizations(tokens, management, dockyard, may_create=settings.create_namespaces)
        registry = Registry(sender, regions, tokens, organizations)
        tag_lister = TagLister(registry)
        catalog = Catalog(tokens, management, dockyard, organizations, tag_lister)
        return cls(
            regions=regions,
            tokens=tokens,
            management=management,
            organizations=organizations,
            catalog=catalog,
            registry=registry,
            uploads=BlobUploads(registry),
            tag_lister=tag_lister,
            deletion=Deletion(registry, catalog, management, tag_lister, translated=settings.oci_index == "translate"),
            state=state,
        )

    def repository(self, credentials: Credentials, name: RepositoryName) -> Repository:
        """The repository as these credentials see it."""
        return Repository(credentials, name)

    def check(self, credentials: Credentials) -> None:
        """Asks SWR, now, whether these credentials work: the token endpoint first, the signed API only after that.

        Raises `CredentialsRefused`, `ClockWrong`, `AccountBlocked`, or an `UpstreamError` when the token endpoint
        cannot be asked; in about 10 s. With the management API alone out of reach the credentials are proven, and
        manifests and blobs work, so nothing is raised: one failed check would take a proxy cache away for five minutes.
        """
        policy = replace(HEALTH_CHECK, deadline=time.monotonic() + HEALTH_CHECK.total)
        self.tokens.login(credentials, policy)
        if not self.management.serves(credentials):
            return
        try:
            self._ask_api(credentials, policy)
        except Throttled:
            # The API is there, and the requests of a run are repeated.
            return
        except UpstreamError as error:
            log.warning("the management API of %s is out of reach: %s", credentials.region, type(error).__name__)
            self.state.put(_outage(credentials), b"1", _OUTAGE_SECONDS)
        else:
            self._ended(credentials)

    def report_outage(self, credentials: Credentials) -> None:
        """Raises an `UpstreamError` when a check has found the management API out of reach and it still is; asks nobody
        when none has."""
        if not self.management.serves(credentials) or self.state.get(_outage(credentials)) is None:
            return
        with contextlib.suppress(Throttled):
            self._ask_api(credentials, BEST_EFFORT)
            self._ended(credentials)

    def _ask_api(self, credentials: Credentials, policy: RetryPolicy) -> None:
        try:
            self.management.organizations(credentials, policy)
        except AccountBlocked:
            raise
        except Denied:
            # The signature was accepted; not every account may list organizations.
            return

    def _ended(self, credentials: Credentials) -> None:
        if self.state.get(_outage(credentials)) is not None:
            self.state.drop(_outage(credentials))


def _outage(credentials: Credentials) -> str:
    return f"api-outage:{credentials.region}"


BUILT_IN: Final[Mapping[str, RegionHosts]] = {
    "eu-de": RegionHosts("https://swr.eu-de.otc.t-systems.com", "https://swr-api.eu-de.otc.t-systems.com"),
    "eu-nl": RegionHosts("https://swr.eu-nl.otc.t-systems.com", "https://swr-api.eu-nl.otc.t-systems.com"),
    # No source names the management host of the Swiss cloud: unknown, so the registry host's own API is used.
    "eu-ch2": RegionHosts("https://swr.eu-ch2.sc.otc.t-systems.com", None),
}


def region_table(overrides: Mapping[str, RegionHosts]) -> Mapping[str, RegionHosts]:
    """The built-in regions with those of the setting REGIONS in place of, or beside, them."""
    return {**BUILT_IN, **overrides}
