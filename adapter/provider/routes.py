"""The routes that are translated. All other requests pass unchanged. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote, urlsplit

API: Final = "/api/v2.0"


class Kind(Enum):
    """What a route serves (`docs/facts/harbor.md A.5`)."""

    ADAPTERS = auto()
    ADAPTER_INFOS = auto()
    REGISTRIES = auto()
    REGISTRY = auto()
    INFO = auto()
    POLICIES = auto()
    POLICY = auto()
    SUMMARY = auto()
    CREATE = auto()
    PING = auto()
    EDIT = auto()
    REMOVE = auto()


@dataclass(frozen=True)
class Route:
    """`endpoint` is the id in the path, if the route has one."""

    kind: Kind
    endpoint: int | None = None


# Writes of rules are missing: core reads only the ids of their endpoints (docs/facts/harbor.md A.5).
_ROUTES: Final = tuple(
    (method, re.compile(API + pattern), kind)
    for method, pattern, kind in (
        ("GET", "/replication/adapters", Kind.ADAPTERS),
        ("GET", "/replication/adapterinfos", Kind.ADAPTER_INFOS),
        ("GET", "/registries", Kind.REGISTRIES),
        ("GET", r"/registries/(?P<endpoint>\+?[0-9]{1,64})", Kind.REGISTRY),
        ("GET", r"/registries/(?P<endpoint>\+?[0-9]{1,64})/info", Kind.INFO),
        ("GET", "/replication/policies", Kind.POLICIES),
        ("GET", r"/replication/policies/\+?[0-9]+", Kind.POLICY),
        ("GET", "/projects/[^/]+/summary", Kind.SUMMARY),
        ("POST", "/registries", Kind.CREATE),
        ("POST", "/registries/ping", Kind.PING),
        ("PUT", r"/registries/(?P<endpoint>\+?[0-9]{1,64})", Kind.EDIT),
        ("DELETE", r"/registries/(?P<endpoint>\+?[0-9]{1,64})", Kind.REMOVE),
    )
)

_ROUTED: Final = re.compile(
    API + "/(?:(?:registries|replication/(?:adapters|adapterinfos|policies))(?:/|$)|projects/[^/]+/summary$)"
)


def match(method: str, target: str) -> Route | None:
    """The route of a request, or None if there is nothing to translate.

    The path is cleaned as core's router cleans it, so that every spelling that reaches an endpoint is recognized.
    Harbor's own entry, id 0, is not translated.
    """
    path = _clean_path(target)
    for wanted, pattern, kind in _ROUTES:
        if method == wanted and (found := pattern.fullmatch(path)):
            endpoint = found.groupdict().get("endpoint")
            if endpoint is None:
                return Route(kind)
            # Core accepts a sign and leading zeros, and rejects an id of more than 63 bits.
            return Route(kind, int(endpoint)) if 0 < int(endpoint) < 1 << 63 else None
    return None


def is_routed_to_adapter(target: str) -> bool:
    """Whether Harbor's nginx sends this path to the provider port, for any method."""
    return _ROUTED.match(_clean_path(target)) is not None


def is_harbor_api(target: str) -> bool:
    """Whether core finds a path of Harbor's API in the target. The provider port forwards no other: no sign-in, no
    registry, no tokens, and nothing that core answers only to its own network.

    Core has two routers. The outer one looks at the beginning of the path, with slashes merged (Harbor's
    `src/server/middleware/mergeslash`). The router of the API cleans the path first.
    """
    merged = re.sub("/+", "/", unquote(target.partition("?")[0]))
    return merged.startswith(f"{API}/") and _clean_path(target).startswith(f"{API}/")


def _clean_path(target: str) -> str:
    return re.sub("^//+", "/", posixpath.normpath(unquote(target.partition("?")[0])))


def origin_form(target: str) -> str:
    """`/path?query` of a request target, unchanged. A request to a proxy has a whole URL as its target."""
    parts = urlsplit(target) if "://" in target and not target.startswith("/") else None
    if parts is None:
        return target
    return target[target.index("://") + 3 + len(parts.netloc) :] or "/"
