"""
Moving publications between processes: one module for each broker, and the table of URL schemes that name them.

A project's own broker is named by its dotted path.
"""

from __future__ import annotations

import importlib
from typing import TypeGuard

from .base import Broker

__all__ = ["SCHEMES", "find_class", "is_redis"]

SCHEMES = {
    "dummy": "django_jugpush.brokers.dummy.DummyBroker",
}
"""The class for each scheme of ``BROKER``. Without a URL it is :class:`django_jugpush.brokers.local.LocalBroker`."""


def is_redis(broker: str | None) -> TypeGuard[str]:
    """Tell whether ``broker`` is the URL of a Redis, also of one with servers of 2011."""
    scheme, separator, _ = (broker or "").removeprefix("juggernaut+").partition(":")
    return bool(separator) and scheme in ("redis", "rediss", "unix")


def find_class(broker: str) -> type[Broker]:
    """
    Return the class that ``broker``, a URL or a dotted path, names.

    Raises:
        LookupError: If the scheme is unknown, or nothing importable by that path is a broker.
    """
    scheme, separator, _ = broker.partition(":")
    if separator and scheme not in SCHEMES:
        raise LookupError(f"the scheme {scheme!r} is unknown; known are {', '.join(SCHEMES)}")
    path = SCHEMES[scheme] if separator else broker
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LookupError(f"{path!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Broker)):
        raise LookupError(f"{path!r} is not a subclass of django_jugpush.brokers.base.Broker")
    return found
