"""How the text of a setting becomes its value; each parser raises `ValueError` with what is wanted. Pure."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

ACCESS_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_DATABASE: Final = re.compile(r"/?[0-9]{0,6}", re.ASCII)


@dataclass(frozen=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class RegionHosts:
    """Origins of one region: the registry, the management API (None: unknown), hosts that blobs may come from
    (empty: any)."""

    registry: str
    api: str | None = None
    objects: tuple[str, ...] = ()


def boolean(value: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if value.lower() not in words:
        raise ValueError("true or false is wanted")
    return words[value.lower()]


def number(lowest: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        number = float(value)
        if not lowest <= number < float("inf"):
            raise ValueError(f"a number of at least {lowest:g} is wanted")
        return number

    return parse


def integer(lowest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value)
        if number < lowest:
            raise ValueError(f"a whole number of at least {lowest} is wanted")
        return number

    return parse


def choice(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"one of {', '.join(words)} is wanted")
        return value.lower()

    return parse


def bind(value: str) -> Bind:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("host:port is wanted, for example 0.0.0.0:8080")
    return Bind(host.removeprefix("[").removesuffix("]"), int(port))


def url(value: str) -> str:
    parts = urlsplit(value)
    if parts.port == 0 or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("http://host or https://host is wanted, without a query")
    return value.rstrip("/")


def origin(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an origin must be a string")
    checked = url(value)
    if urlsplit(checked).path or urlsplit(checked).username is not None:
        raise ValueError("an origin must be scheme://host[:port] alone")
    return checked


def file(value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError("no such file")
    return path


def certificates(value: str) -> Path:
    """A file of PEM certificates that can be trusted."""
    path = file(value)
    try:
        ssl.create_default_context().load_verify_locations(path)
    except (ssl.SSLError, OSError):
        raise ValueError("no PEM certificates in the file") from None
    return path


def state_url(value: str) -> str:
    parts = urlsplit(value)
    server = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    known = options <= ({"ssl_ca_certs"} if parts.scheme == "rediss" else set())
    if value != "memory://" and not (server and known and _DATABASE.fullmatch(parts.path) and not parts.fragment):
        raise ValueError("memory:// or redis://[user:password@]host[:port][/number] is wanted")
    return value


def regions(value: str) -> Mapping[str, RegionHosts]:
    document = json.loads(value)
    if not isinstance(document, dict) or not all(isinstance(entry, dict) for entry in document.values()):
        raise ValueError('{"<region>": {"registry": "https://...", "api": "https://..."}} is wanted')
    return {region: _region(region, entry) for region, entry in document.items()}


def tenants(value: str) -> Mapping[str, tuple[str, ...]]:
    """Names of tenants and their access keys. No sentence quotes an access key: some people enter a secret instead."""
    document = json.loads(value)
    if not isinstance(document, dict) or not all(isinstance(keys, list) for keys in document.values()):
        raise ValueError('{"<tenant>": ["<AK>", "<AK>"]} is expected')
    named: dict[str, str] = {}
    for name, keys in document.items():
        for number, key in enumerate(keys, 1):
            if not isinstance(key, str) or not ACCESS_KEY.fullmatch(key):
                raise ValueError(f"entry {number} of tenant '{name}' is not a valid access key")
            if key in named:
                raise ValueError(f"entry {number} of tenant '{name}' is already listed in tenant '{named[key]}'")
            named[key] = name
    return {name: tuple(keys) for name, keys in document.items()}


def _region(name: str, entry: Mapping[str, Any]) -> RegionHosts:
    if unknown := sorted(set(entry) - {"registry", "api", "objects"}):
        raise ValueError(f"{name} has the unknown key {unknown[0]}")
    if "registry" not in entry:
        raise ValueError(f"{name} lacks the key registry")
    objects = entry.get("objects", [])
    if not isinstance(objects, list) or not all(isinstance(host, str) and host for host in objects):
        raise ValueError(f"{name}: objects must be a list of host names")
    api = entry.get("api")
    return RegionHosts(origin(entry["registry"]), None if api is None else origin(api), tuple(objects))
