"""All that calls SWR, built from the settings and shared by every thread of the process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapter.errors import AccountBlocked, Denied
from adapter.identity import Identity
from adapter.settings import Settings
from adapter.state import State, open_state
from adapter.swr.dockyard import Dockyard
from adapter.swr.images import Images
from adapter.swr.management import Management
from adapter.swr.organizations import Organizations
from adapter.swr.patience import CHECK
from adapter.swr.regions import region_table
from adapter.swr.registry import Registry
from adapter.swr.tag_lists import TagLists
from adapter.swr.tokens import Tokens
from adapter.swr.transport import Transport
from adapter.swr.uploads import SwrUploads
from adapter.values import RegionHosts


@dataclass(frozen=True)
class SwrClient:
    """The parts; build with `build`."""

    regions: Mapping[str, RegionHosts]
    tokens: Tokens
    management: Management
    organizations: Organizations
    images: Images
    registry: Registry
    uploads: SwrUploads
    state: State

    @classmethod
    def build(cls, settings: Settings) -> SwrClient:
        """Opens no connection yet."""
        regions = region_table(settings.regions)
        state, link = open_state(settings.state_url)
        transport = Transport(settings, link)
        tokens = Tokens(transport, regions, state)
        management = Management(transport, regions, settings.signing, state)
        dockyard = Dockyard(transport, regions)
        organizations = Organizations(tokens, management, dockyard, may_create=settings.create_namespaces)
        registry = Registry(transport, regions, tokens, organizations)
        images = Images(tokens, management, dockyard, organizations, TagLists(registry))
        return cls(regions, tokens, management, organizations, images, registry, SwrUploads(registry), state)

    def check(self, identity: Identity) -> None:
        """Asks SWR, now, whether these credentials work: the token endpoint first, the signed API only after that.

        Raises `CredentialsRefused`, `ClockWrong`, or an `UpstreamError` when SWR cannot be asked; in about 10 s.
        """
        patience = replace(CHECK, deadline=time.monotonic() + CHECK.total)
        self.tokens.login(identity, patience)
        if self.management.serves(identity):
            try:
                self.management.organizations(identity, patience)
            except AccountBlocked:
                raise
            except Denied:
                # The signature was accepted; not every account may list organizations.
                return
