"""The values of settings, and the parsers of their text. A parser raises `ValueError` with what it expects, and never
quotes the text, which may be secret. Pure."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

ACCESS_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DATABASE: Final = re.compile(r"/?[0-9]{0,6}", re.ASCII)
_REGION_KEYS: Final = ("registry", "api", "objects")


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


def boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    if text.lower() not in words:
        raise ValueError("expected true or false")
    return words[text.lower()]


def number(lowest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        expected = f"expected a number, {lowest:g} or greater"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(expected) from None
        if not lowest <= value < float("inf"):
            raise ValueError(expected)
        return value

    return parse


def integer(lowest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        expected = f"expected an integer, {lowest} or greater"
        try:
            value = int(text)
        except ValueError:
            raise ValueError(expected) from None
        if value < lowest:
            raise ValueError(expected)
        return value

    return parse


def choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text.lower()

    return parse


def bind(text: str) -> Bind:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("expected host:port, for example 0.0.0.0:8080")
    return Bind(host.removeprefix("[").removesuffix("]"), int(port))


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult | None:
    """The parts of a URL with a host; None for anything else."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in schemes and parts.hostname and port != 0 and not parts.fragment else None


def url(text: str) -> str:
    parts = _split(text, ("http", "https"))
    if parts is None or parts.query:
        raise ValueError("expected http://host or https://host, without a query")
    return text.rstrip("/")


def origin(value: object) -> str:
    parts = _split(value, ("http", "https")) if isinstance(value, str) else None
    if parts is None or parts.path.strip("/") or parts.query or parts.username is not None:
        raise ValueError("expected an origin as https://host[:port], without a path")
    return str(value).rstrip("/")


def file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("no such file")
    return path


def certificates(text: str) -> Path:
    """A file of PEM certificates that can be trusted."""
    path = file(text)
    try:
        ssl.create_default_context().load_verify_locations(path)
    except (ssl.SSLError, OSError):
        raise ValueError("no PEM certificates in the file") from None
    return path


def state_url(text: str) -> str:
    parts = _split(text, ("redis", "rediss"))
    if parts is None:
        valid = text == "memory://"
    else:
        options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        supported = {"ssl_ca_certs"} if parts.scheme == "rediss" else set()
        valid = options <= supported and _DATABASE.fullmatch(parts.path) is not None
    if not valid:
        raise ValueError("expected memory:// or redis://[user:password@]host[:port][/number]")
    return text


def regions(text: str) -> Mapping[str, RegionHosts]:
    document = json.loads(text)
    if not isinstance(document, dict) or not all(isinstance(entry, dict) for entry in document.values()):
        raise ValueError('expected {"<region>": {"registry": "https://...", "api": "https://..."}}')
    return {region: _region(region, entry) for region, entry in document.items()}


def _region(name: str, entry: Mapping[str, Any]) -> RegionHosts:
    if unknown := sorted(set(entry) - set(_REGION_KEYS)):
        raise ValueError(f"unknown key {unknown[0]} in region {name} (expected {', '.join(_REGION_KEYS)})")
    if "registry" not in entry:
        raise ValueError(f"missing key registry in region {name}")
    objects = entry.get("objects", [])
    if not isinstance(objects, list) or not all(isinstance(host, str) and host for host in objects):
        raise ValueError(f"expected a list of host names as objects of region {name}")
    api = entry.get("api")
    return RegionHosts(origin(entry["registry"]), None if api is None else origin(api), tuple(objects))


def tenants(text: str) -> Mapping[str, tuple[str, ...]]:
    """Names of tenants and their access keys. No message quotes an access key: some people enter a secret instead."""
    document = json.loads(text)
    if not isinstance(document, dict) or not all(isinstance(keys, list) for keys in document.values()):
        raise ValueError('expected {"<tenant>": ["<AK>", "<AK>"]}')
    tenant_of: dict[str, str] = {}
    for name, keys in document.items():
        for number, key in enumerate(keys, 1):
            if not isinstance(key, str) or not ACCESS_KEY.fullmatch(key):
                raise ValueError(f"entry {number} of tenant '{name}' is not a valid access key")
            if key in tenant_of:
                raise ValueError(f"entry {number} of tenant '{name}' is already listed in tenant '{tenant_of[key]}'")
            tenant_of[key] = name
    return {name: tuple(keys) for name, keys in document.items()}
