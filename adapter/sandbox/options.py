"""Command line options of a sandbox: data directory, addresses, accounts and knobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from adapter.sandbox.knob import Value
from adapter.sandbox.knobs import parse_overrides

ROLES = {"read": 1, "write": 3, "manage": 7}
DEFAULT_PROJECT = "eu-de"
DEFAULT_TENANT = "sandbox"


@dataclass(frozen=True)
class Account:
    """An access key, the projects that it can log in with, its tenant, and its role in the tenant."""

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
        """Parses `AK:SK[:project,project…[:tenant[:role]]]`; an empty part means the default.

        :raises ValueError: when the text is invalid; the message does not contain the secret key.
        """
        access_key, *rest = text.split(":")
        parts = [*rest, "", "", "", ""][:4]
        if not access_key or not parts[0] or len(rest) > 4:
            raise ValueError(
                f"invalid --account that starts with {access_key!r}: expected AK:SK[:projects[:tenant[:role]]]"
            )
        if (parts[3] or "manage") not in ROLES:
            raise ValueError(f"--account: the role of {access_key} must be one of {', '.join(ROLES)}, got {parts[3]!r}")
        projects = tuple(each for each in parts[1].split(",") if each) or (DEFAULT_PROJECT,)
        return cls(access_key, parts[0], projects, parts[2] or DEFAULT_TENANT, parts[3] or "manage")


# Valid for the sandbox only; the recordings of the demo use this account.
DEMO_ACCOUNT = "AKEXAMPLE0000000001:SKexample0000000000000000000000000000001:eu-de"


@dataclass(frozen=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses `host:port`, with IPv6 in brackets.

        :raises ValueError: when the text is invalid.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"expected host:port, got {text!r}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def url(self, host_header: str) -> str:
        """The URL of the origin for a client; `host_header` is the value of its Host header."""
        if self.host not in {"0.0.0.0", "[::]"}:
            return f"http://{self}"
        name = (
            host_header[: host_header.rindex("]") + 1] if host_header.startswith("[") else host_header.partition(":")[0]
        )
        return f"http://{name or '127.0.0.1'}:{self.port}"


@dataclass(frozen=True)
class SandboxOptions:
    """All options of `serve`. The three ports must differ, because the port selects the origin."""

    data: Path
    registry_bind: Bind
    api_bind: Bind
    objects_bind: Bind
    accounts: tuple[Account, ...]
    knobs: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {self.registry_bind.port, self.api_bind.port, self.objects_bind.port}
        if len(ports) != 3:
            raise ValueError("--registry-bind, --api-bind and --objects-bind must have three different ports")
        if len({account.access_key for account in self.accounts}) != len(self.accounts):
            raise ValueError("--account: the same access key is used in two accounts")

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
        """Parses the texts of a command line; without accounts, the account of the demo is used.

        :raises ValueError: with a message of one line.
        """
        return cls(
            Path(data),
            Bind.parse(registry_bind),
            Bind.parse(api_bind),
            Bind.parse(objects_bind),
            tuple(Account.parse(each) for each in accounts or (DEMO_ACCOUNT,)),
            parse_overrides(tuple(knobs)),
        )

    def usage(self) -> str:
        """How to use the sandbox, as text; contains no secret."""
        registry, api = (f"http://{bind}" for bind in (self.registry_bind, self.api_bind))
        regions = json.dumps({DEFAULT_PROJECT: {"registry": registry, "api": api}})
        users = ", ".join(
            f"{project}@{account.access_key}" for account in self.accounts for project in account.projects
        )
        return "\n".join(
            (
                "A simulator of SWR, not SWR itself; see docs/sandbox.md. Press Ctrl-C to stop.",
                f"  registry        {registry}   docker or skopeo: Access ID below as user, login key as password",
                f"  management API  {api}   signed with AK/SK",
                f"  object store    http://{self.objects_bind}   target of redirected downloads",
                f"  Access IDs      {users}",
                "  login key       python -m adapter login-key",
                f"  adapter         SWR_ADAPTER_REGIONS='{regions}' python -m adapter serve",
                f"  knobs           curl {api}/sandbox/knobs; curl -X PUT -d '{{\"rate\": 0}}' {api}/sandbox/knobs",
                f"  journal         curl {api}/sandbox/journal",
            )
        )
