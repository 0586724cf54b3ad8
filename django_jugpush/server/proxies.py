"""Whose request it is when a proxy hands it over, and whether the client spoke TLS."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from .types import ASGIApplication, Receive, Scope, Send

__all__ = [
    "DEFAULT_PROXIES",
    "UNIX",
    "Proxies",
    "TrustedProxies",
    "counted_address",
    "is_foreign",
    "parse_address",
    "parse_proxies",
]

UNIX = "unix"
"""Stands for whoever connects by a Unix socket; the mode of the socket's directory says who that can be."""

DEFAULT_PROXIES = ("127.0.0.1", "::1", UNIX)
"""Proxies of this machine."""

Headers = Iterable[tuple[bytes, bytes]]


class Proxies:
    """
    Tells who a client is, from the peer and from what it says of others if it is one of ``proxies``.

    This is the one place where that is decided, for every door.
    """

    def __init__(self, proxies: Sequence[str]) -> None:
        self._trusts_all = list(proxies) == ["*"]
        self._trusts_unix = UNIX in proxies
        self._networks = [ip_network(proxy) for proxy in proxies if proxy not in ("*", UNIX)]
        self._is_listed = functools.lru_cache(maxsize=1024)(self._look_up)

    def trusts(self, host: str) -> bool:
        """Tell whether what ``host`` says of others is believed."""
        return self._trusts_all or self._is_listed(host[:64])

    def client(self, peer: str, headers: Headers) -> str:
        """
        Return the address of the client: of those in ``X-Forwarded-For`` the last one that is no proxy.

        What stands before it the client may have made up. Without the header, or if ``peer`` is no proxy, it is the
        peer.
        """
        if not self.trusts(peer):
            return peer
        hops = [_without_port(hop) for hop in _values(headers, b"x-forwarded-for") if hop]
        if not hops:
            return peer
        if self._trusts_all:
            return hops[0]
        return next((hop for hop in reversed(hops) if not self.trusts(hop)), hops[0])

    def countable(self, peer: str, headers: Headers) -> str | None:
        """
        Return whose connection it is, for limits; None if that cannot be known.

        A peer of the same network that names another client, but is not listed, is more likely a proxy that was
        forgotten in the list than an attacker: it would be unfair to take all its clients for one.
        """
        if self.trusts(peer):
            client = self.client(peer, headers)
            return None if client == peer else client
        is_named = any(header == b"x-forwarded-for" for header, _ in headers)
        return None if is_named and not is_foreign(peer) else peer

    def scheme(self, peer: str, headers: Headers) -> str | None:
        """Return ``http`` or ``https`` if a proxy says by which the client came."""
        if not self.trusts(peer):
            return None
        said = [value for value in _values(headers, b"x-forwarded-proto") if value in _SCHEMES]
        return _SCHEMES[said[-1]] if said else None

    def _look_up(self, host: str) -> bool:
        if host == UNIX:
            return self._trusts_unix
        address = parse_address(host)
        return address is not None and any(address in network for network in self._networks)


_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


class TrustedProxies:
    """Sets the scope's ``client`` and ``scheme`` to what :class:`Proxies` says they are."""

    def __init__(self, application: ASGIApplication, proxies: Proxies) -> None:
        self._application = application
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            peer, port = scope.get("client") or (UNIX, 0)
            client = self._proxies.client(peer or UNIX, scope["headers"])
            scope["client"] = (client, port if client == peer else 0)
            if scheme := self._proxies.scheme(peer or UNIX, scope["headers"]):
                scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        await self._application(scope, receive, send)


def parse_proxies(text: str) -> list[str]:
    """
    Split a list of addresses, networks and ``unix``, separated by commas; ``*`` alone stands for everybody.

    Raises:
        ValueError: If one is none of these.
    """
    proxies = [part.strip() for part in text.split(",") if part.strip()]
    for proxy in proxies:
        if "/" in proxy:
            ip_network(proxy)
        elif proxy != UNIX and proxies != ["*"]:
            ip_address(proxy)
    return proxies


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one of IPv4 that is written as one of IPv6 is the former. None if it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def is_foreign(text: str) -> bool:
    """Tell whether an address is one of the whole Internet, not of a network of one's own."""
    address = parse_address(text)
    return address is not None and not address.is_private


def counted_address(text: str | None) -> str | None:
    """
    Return what the connections of one client have in common: its address, of IPv6 the /64.

    None for whoever cannot be told from others: this machine, a Unix socket, and what is no address.
    """
    address = parse_address(text or "")
    if address is None or address.is_loopback:
        return None
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _values(headers: Headers, name: bytes) -> list[str]:
    return [part.strip() for header, value in headers if header == name for part in value.decode("latin-1").split(",")]


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
