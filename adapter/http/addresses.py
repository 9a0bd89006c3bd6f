"""Addresses of this machine and of its link, in all the forms that a URL can have. Pure."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_local(address: str) -> bool:
    """Whether an IP address, with or without a zone, is loopback, link-local or unspecified.

    Private ranges and 100.64.0.0/10 are not: inside a VPC the cloud's own services resolve to such addresses.
    """
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found is not None and (found.is_loopback or found.is_link_local or found.is_unspecified)


def names_local(host: str) -> bool:
    """Whether the host of a URL is such an address, or `localhost`, without resolving it."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or is_local(name)


def _parsed(text: str) -> Address | None:
    """None for what is no address. Resolvers also take one to four numbers, decimal, octal or hexadecimal."""
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    try:
        # It would take an address with anything behind a blank as well.
        return ipaddress.IPv4Address(socket.inet_aton(text)) if text.isascii() and text.isprintable() else None
    except OSError:
        return None
