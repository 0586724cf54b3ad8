"""Whose request it is when a proxy hands it over, and whether the client spoke TLS."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from .types import ASGIApplication, Receive, Scope, Send

__all__ = ["DEFAULT_PROXIES", "TrustedProxies", "parse_proxies"]

UNIX = "unix"
"""Stands for whoever connects by a Unix socket; the mode of the socket's directory says who that can be."""

DEFAULT_PROXIES = ("127.0.0.1", "::1", UNIX)
"""Proxies of this machine."""


class TrustedProxies:
    """
    Sets the scope's ``client`` and ``scheme`` from ``X-Forwarded-For`` and ``X-Forwarded-Proto``.

    They count only in a request that comes from one of ``proxies``; and of the addresses in the former the last one
    that is none of them. This is the one place where that is decided: every door reads the scope.
    """

    def __init__(self, application: ASGIApplication, proxies: Sequence[str]) -> None:
        middleware: Any = ProxyHeadersMiddleware
        self._application: ASGIApplication = middleware(application, trusted_hosts=list(proxies))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("client"):
            scope["client"] = (UNIX, 0)
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
