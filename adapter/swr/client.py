"""The client of SWR, built from the settings and shared by all threads of the process."""

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
"""Time for which an outage is remembered; Harbor checks every five minutes."""


@dataclass(frozen=True)
class SwrClient:
    """The parts of the client; made by `build`."""

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
        """Opens no connection yet. `transport`, if given, sends single requests in place of connections to SWR."""
        regions = region_table(settings.regions)
        state, redis = open_state(settings.state_url)
        sender = Transport(settings, redis, transport)
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
        """The repository, bound to the credentials for it."""
        return Repository(credentials, name)

    def check(self, credentials: Credentials) -> None:
        """Checks the credentials with SWR now, in about 10 s: the token endpoint first, then the signed API.

        Raises `CredentialsRefused`, `ClockWrong`, `AccountBlocked`, or an `UpstreamError` if the token endpoint fails.
        If only the management API is out of reach, the credentials are proven and manifests and blobs work, so nothing
        is raised: one failed check would disable a proxy cache for five minutes.
        """
        policy = replace(HEALTH_CHECK, deadline=time.monotonic() + HEALTH_CHECK.total_seconds)
        self.tokens.login(credentials, policy)
        if not self.management.serves(credentials):
            return
        try:
            self._check_api(credentials, policy)
        except Throttled:
            # The API works, and requests of a replication are retried.
            return
        except UpstreamError as error:
            log.warning("management API of %s unreachable: %s", credentials.region, type(error).__name__)
            self.state.put(_outage_key(credentials), b"1", _OUTAGE_SECONDS)
        else:
            self._end_outage(credentials)

    def report_outage(self, credentials: Credentials) -> None:
        """Raises an `UpstreamError` if the management API is still unreachable after a check found it so. Without such
        a check, sends no request."""
        if not self.management.serves(credentials) or self.state.get(_outage_key(credentials)) is None:
            return
        with contextlib.suppress(Throttled):
            self._check_api(credentials, BEST_EFFORT)
            self._end_outage(credentials)

    def _check_api(self, credentials: Credentials, policy: RetryPolicy) -> None:
        try:
            self.management.organizations(credentials, policy)
        except AccountBlocked:
            raise
        except Denied:
            # SWR accepted the signature; not every account may list organizations.
            return

    def _end_outage(self, credentials: Credentials) -> None:
        if self.state.get(_outage_key(credentials)) is not None:
            self.state.drop(_outage_key(credentials))


def _outage_key(credentials: Credentials) -> str:
    return f"api-outage:{credentials.region}"


BUILT_IN_REGIONS: Final[Mapping[str, RegionHosts]] = {
    "eu-de": RegionHosts("https://swr.eu-de.otc.t-systems.com", "https://swr-api.eu-de.otc.t-systems.com"),
    "eu-nl": RegionHosts("https://swr.eu-nl.otc.t-systems.com", "https://swr-api.eu-nl.otc.t-systems.com"),
    # No source has the management host of the Swiss cloud, so the API of the registry host is used.
    "eu-ch2": RegionHosts("https://swr.eu-ch2.sc.otc.t-systems.com", None),
}


def region_table(overrides: Mapping[str, RegionHosts]) -> Mapping[str, RegionHosts]:
    """The built-in regions, replaced or extended by those of SWR_ADAPTER_REGIONS."""
    return {**BUILT_IN_REGIONS, **overrides}
