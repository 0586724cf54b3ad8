"""
Which pages may connect to the push server.

Nothing there rests on a cookie, so a foreign page gains little by connecting; it is kept out all the same. The
``Host`` header is never a reason to let a page in: with DNS rebinding it says what the attacker wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from django_jugpush.conf import get_config

__all__ = ["names_no_origin", "origin_allowed"]

_ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

# What Django itself allows when ALLOWED_HOSTS is empty and DEBUG is on.
_LOCAL_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


def origin_allowed(origin: str | None, *, scheme: str, headers: Mapping[str, str]) -> bool:
    """
    Tell whether a page of ``origin`` may connect; None is a request without the header.

    Args:
        scheme: ``http`` or ``https``, as the server sees the request.
        headers: The request's; names in lower case.
    """
    if origin is None:
        return not get_config().REQUIRE_ORIGIN and _is_no_foreign_page(headers)
    if _is_listed(origin, [*get_config().ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS]):
        return True
    parsed = _parse(origin)
    if parsed is None:
        return False
    origin_scheme, host, _ = parsed
    is_weaker = origin_scheme == "http" and scheme == "https"
    return not is_weaker and validate_host(host, _allowed_hosts())


def names_no_origin() -> bool:
    """Tell whether the settings let any host be asked for, but say of no page that it is the site's own."""
    listed = [*get_config().ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS]
    return "*" in settings.ALLOWED_HOSTS and not listed and not _allowed_hosts()


def _is_no_foreign_page(headers: Mapping[str, str]) -> bool:
    # A program that is no browser sends neither. Images and scripts of a page send no Origin, and hold connections.
    foreign = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    return not foreign and headers.get("sec-fetch-mode") != "no-cors"


def _allowed_hosts() -> list[str]:
    hosts = [host for host in settings.ALLOWED_HOSTS if host != "*"]
    return hosts or (_LOCAL_HOSTS if settings.DEBUG else [])


def _is_listed(origin: str, entries: Iterable[str]) -> bool:
    parsed = _parse(origin)
    return any(entry == origin or (parsed is not None and _covers(entry, parsed)) for entry in entries)


def _covers(entry: str, origin: tuple[str, str, str]) -> bool:
    scheme, wildcard, rest = entry.partition("://*.")
    listed = _parse(f"{scheme}://{rest}" if wildcard else entry)
    if listed is None or (listed[0], listed[2]) != (origin[0], origin[2]):
        return False
    return is_same_domain(origin[1], f".{listed[1]}") if wildcard else listed[1] == origin[1]


def _parse(origin: str) -> tuple[str, str, str] | None:
    """Return scheme, host and port; None for ``null`` and whatever else is no origin of a page."""
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return None
    host, port = split_domain_port(found[2])
    return (found[1], host, port or _DEFAULT_PORTS[found[1]]) if host else None
