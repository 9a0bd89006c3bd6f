"""The sandbox and the adapter as processes, with the addresses and handles that tests use."""

from __future__ import annotations

import contextlib
import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.sandbox.store import Store
from tests.credentials import ACCESS_KEY, OTHER_ACCESS_KEY, OTHER_SECRET_KEY, PROJECT, SECRET_KEY
from tests.services import Service, free_ports, running

TENANT = "tests"
OTHER_TENANT = "others"
OBJECTS_HOST = "127.0.0.2"
"""Another host name than the registry's, as in SWR: clients send credentials on to the same name, whatever its port."""


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox process: three origins without a slash at the end, and its store, which tests may read and fill."""

    registry: str
    api: str
    objects: str
    store: Store
    service: Service

    def reset(self, **knobs: Any) -> None:
        """Empties the store and the journal; all knobs as at the start (no rate limit) but these."""
        self._control("POST", "reset")
        if knobs:
            self.set_knobs(**knobs)

    def set_knobs(self, **knobs: Any) -> None:
        """These alone; the store stays as it is."""
        self._control("PUT", "knobs", knobs)

    def journal(self) -> list[dict[str, Any]]:
        """The requests since the last reset, in order of arrival."""
        entries: list[dict[str, Any]] = self._control("GET", "journal")
        return entries

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Sets the faults, in place of those set before."""
        self._control("PUT", "faults", list(rules))

    def _control(self, method: str, what: str, document: object = None) -> Any:
        data = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(f"{self.api}/sandbox/{what}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            body = response.read()
        return json.loads(body) if body else None


@contextlib.contextmanager
def running_sandbox(**knobs: Any) -> Iterator[RunningSandbox]:
    """A sandbox with the two accounts of the suite, and without a rate limit unless `knobs` set one."""
    ports = free_ports(3)
    names = ("--registry-bind", "--api-bind", "--objects-bind")
    accounts = (
        f"{ACCESS_KEY}:{SECRET_KEY}:{PROJECT}:{TENANT}",
        f"{OTHER_ACCESS_KEY}:{OTHER_SECRET_KEY}:{PROJECT}:{OTHER_TENANT}",
    )
    binds = [f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", f"{OBJECTS_HOST}:{ports[2]}"]
    arguments = [part for name, bind in zip(names, binds, strict=True) for part in (name, bind)]
    arguments += [part for account in accounts for part in ("--account", account)]
    arguments += [part for name, value in {"rate": 0, **knobs}.items() for part in ("--knob", f"{name}={value}")]
    registry, api, objects = (f"http://{bind}" for bind in binds)
    with tempfile.TemporaryDirectory(prefix="sandbox-") as data:
        command = ("sandbox", "--data", data, *arguments)
        with running("sandbox", *command, env={}, port=ports[1], path="/sandbox/knobs") as service:
            yield RunningSandbox(registry, api, objects, Store(Path(data)), service)


@dataclass(frozen=True)
class RunningAdapter:
    """An adapter process and its three ports, as URLs without a slash at the end."""

    contract: str
    provider: str
    operations: str
    service: Service


@contextlib.contextmanager
def running_adapter(
    regions: Mapping[str, Mapping[str, str]], *, files: Any = None, output: Any = None, **settings: object
) -> Iterator[RunningAdapter]:
    """`python -m adapter serve` in front of the regions ({"eu-de": {"registry": url, "api": url}}).

    `settings` are the fields of `Settings`. By default there is no rate limit, and the log is JSON.
    """
    ports = free_ports(3)
    binds = dict(zip(("contract_bind", "provider_bind", "operations_bind"), ports, strict=True))
    values: dict[str, object] = {name: f"127.0.0.1:{port}" for name, port in binds.items()}
    values |= {"regions": json.dumps(regions), "requests_per_second": 0, "log_format": "json", **settings}
    env = {f"SWR_ADAPTER_{name.upper()}": _text(value) for name, value in values.items()}
    contract, provider, operations = (f"http://127.0.0.1:{port}" for port in ports)
    if "tls_certificate" in settings:
        contract = contract.replace("http", "https")
    options = {"files": files, "output": output}
    with running("adapter", "serve", env=env, port=ports[2], path="/probe/healthy", **options) as service:
        yield RunningAdapter(contract, provider, operations, service)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
