"""The routes that are translated; every other request passes. Pure."""

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
    """`endpoint` is the id in the path, of those that have one."""

    kind: Kind
    endpoint: int | None = None


# Rules pass on their way in: core reads nothing but the ids of their endpoints (docs/facts/harbor.md A.5).
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


_BROUGHT: Final = re.compile(
    API + "/(?:(?:registries|replication/(?:adapters|adapterinfos|policies))(?:/|$)|projects/[^/]+/summary$)"
)


def match(method: str, target: str) -> Route | None:
    """The route of a request, or None where there is nothing to translate.

    The path is read as core's router does, which cleans it: what reaches an endpoint there is recognised here. Harbor's
    own entry, id 0, is nobody's.
    """
    path = _path(target)
    for wanted, pattern, kind in _ROUTES:
        if method == wanted and (found := pattern.fullmatch(path)):
            endpoint = found.groupdict().get("endpoint")
            if endpoint is None:
                return Route(kind)
            # As core reads it: a sign and zeros before it do not matter, beyond 63 bits it is none.
            return Route(kind, int(endpoint)) if 0 < int(endpoint) < 1 << 63 else None
    return None


def is_brought(target: str) -> bool:
    """Whether Harbor's proxy brings this path to the door, whatever the method."""
    return _BROUGHT.match(_path(target)) is not None


def is_forwarded(target: str) -> bool:
    """Whether core reads a path of Harbor's API there. The door has no business with any other: not with sign-in, the
    registry, tokens, or what core alone answers to its own network.

    Core has two routers. The outer one goes by how the path begins, with slashes merged (Harbor's
    `src/server/middleware/mergeslash`); the API's own cleans the path first.
    """
    as_sent = re.sub("/+", "/", unquote(target.partition("?")[0]))
    return as_sent.startswith(f"{API}/") and _path(target).startswith(f"{API}/")


def _path(target: str) -> str:
    """Cleaned."""
    return re.sub("^//+", "/", posixpath.normpath(unquote(target.partition("?")[0])))


def origin_form(target: str) -> str:
    """`/path?query` of a request line, as it came; a request to a proxy has the whole URL there."""
    parts = urlsplit(target) if "://" in target and not target.startswith("/") else None
    if parts is None:
        return target
    return target[target.index("://") + 3 + len(parts.netloc) :] or "/"
