"""What a sandbox is started with: where it stores, where it listens, whom it knows, which knobs differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from adapter.sandbox.knobs import Value, parse_overrides

ROLES = {"read": 1, "write": 3, "manage": 7}
DEFAULT_PROJECT = "eu-de"
DEFAULT_TENANT = "sandbox"


@dataclass(frozen=True)
class Account:
    """An access key, the projects it may name when it logs in, its tenant, and its role there."""

    access_key: str
    secret_key: str = field(repr=False)
    projects: tuple[str, ...] = (DEFAULT_PROJECT,)
    tenant: str = DEFAULT_TENANT
    role: str = "manage"

    @property
    def auth(self) -> int:
        """7 manage, 3 write, 1 read (docs/facts/swr.md §4.2)."""
        return ROLES[self.role]

    @classmethod
    def parse(cls, text: str) -> Self:
        """`AK:SK[:project,project…[:tenant[:role]]]`; an empty part means its default.

        Raises ValueError, without the secret in it.
        """
        access_key, *rest = text.split(":")
        parts = [*rest, "", "", "", ""][:4]
        if not access_key or not parts[0] or len(rest) > 4:
            raise ValueError(
                f"an account is written AK:SK[:projects[:tenant[:role]]] (the one that begins {access_key!r})"
            )
        if (parts[3] or "manage") not in ROLES:
            raise ValueError(f"the role of {access_key} must be one of {', '.join(ROLES)}, not {parts[3]!r}")
        projects = tuple(each for each in parts[1].split(",") if each) or (DEFAULT_PROJECT,)
        return cls(access_key, parts[0], projects, parts[2] or DEFAULT_TENANT, parts[3] or "manage")


# Not a credential of anything: it opens the sandbox only, and stands in the shipped recordings.
DEMO_ACCOUNT = "AKEXAMPLE0000000001:SKexample0000000000000000000000000000001:eu-de"


@dataclass(frozen=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`host:port`, IPv6 in brackets. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"an address is written host:port, not {text!r}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def url(self, called_as: str) -> str:
        """The origin's URL for a caller who reached us under the name `called_as` (a Host header's value)."""
        if self.host not in {"0.0.0.0", "[::]"}:
            return f"http://{self}"
        name = called_as[: called_as.rindex("]") + 1] if called_as.startswith("[") else called_as.partition(":")[0]
        return f"http://{name or '127.0.0.1'}:{self.port}"


@dataclass(frozen=True)
class SandboxOptions:
    """Everything `serve` needs. The three binds must differ in their ports: the port tells the origins apart."""

    data: Path
    registry_bind: Bind
    api_bind: Bind
    objects_bind: Bind
    accounts: tuple[Account, ...]
    knobs: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {self.registry_bind.port, self.api_bind.port, self.objects_bind.port}
        if len(ports) != 3:
            raise ValueError("the three addresses must have three different ports")
        if len({account.access_key for account in self.accounts}) != len(self.accounts):
            raise ValueError("an access key stands in two accounts")

    @classmethod
    def parse(
        cls,
        data: str | Path,
        *,
        registry_bind: str = "127.0.0.1:5100",
        api_bind: str = "127.0.0.1:5101",
        objects_bind: str = "127.0.0.2:5102",
        accounts: Sequence[str] = (),
        knobs: Sequence[str] = (),
    ) -> Self:
        """From the texts of a command line; without accounts, the demo's. Raises ValueError with one line."""
        return cls(
            Path(data),
            Bind.parse(registry_bind),
            Bind.parse(api_bind),
            Bind.parse(objects_bind),
            tuple(Account.parse(each) for each in accounts or (DEMO_ACCOUNT,)),
            parse_overrides(tuple(knobs)),
        )

    def usage(self) -> str:
        """What to do with it, for whoever starts it; no secret is shown."""
        registry, api = (f"http://{bind}" for bind in (self.registry_bind, self.api_bind))
        regions = json.dumps({DEFAULT_PROJECT: {"registry": registry, "api": api}})
        users = ", ".join(
            f"{project}@{account.access_key}" for account in self.accounts for project in account.projects
        )
        return "\n".join(
            (
                "A stand-in for SWR, not SWR itself; docs/sandbox.md says what it does. Ctrl-C ends it.",
                f"  registry        {registry}   docker or skopeo: user as below, password = login key of the AK/SK",
                f"  management API  {api}   signed with AK/SK",
                f"  object store    http://{self.objects_bind}   where downloads are redirected to",
                f"  users           {users}",
                "  login key       python -m adapter login-key",
                f"  the adapter     SWR_ADAPTER_REGIONS='{regions}' python -m adapter serve",
                f"  its knobs       curl {api}/sandbox/knobs; curl -X PUT -d '{{\"rate\": 0}}' {api}/sandbox/knobs",
                f"  its journal     curl {api}/sandbox/journal",
            )
        )
