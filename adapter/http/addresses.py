"""Recognizes loopback and link-local addresses in all the forms that a URL allows. Pure."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_local(address: str) -> bool:
    """Whether an IP address, with or without a zone, is loopback, link-local or unspecified.

    Private ranges and 100.64.0.0/10 do not count: inside a VPC, OTC's own services resolve to such addresses.
    """
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed is not None and (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def is_local_host(host: str) -> bool:
    """Whether the host of a URL is a local address or `localhost`, without resolving it."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or is_local(name)


def _parsed(text: str) -> Address | None:
    """None for text that is not an address. Resolvers also accept one to four numbers in any base of C."""
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    try:
        # inet_aton also accepts an address with any text after a blank.
        return ipaddress.IPv4Address(socket.inet_aton(text)) if text.isascii() and text.isprintable() else None
    except OSError:
        return None
