"""
Moving publications between processes: one module for each broker, and the table of URL schemes that name them.

A project's own broker is named by its dotted path.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TypeGuard

from .base import Broker, BrokerConfig, Feed

__all__ = ["SCHEMES", "find_class", "find_problems", "is_redis", "make_broker", "make_feed"]

_REDIS = "django_jugpush.brokers.redis.RedisBroker"
_JUGGERNAUT_2011 = "django_jugpush.brokers.juggernaut2011.Juggernaut2011Broker"

SCHEMES = {
    "redis": _REDIS,
    "rediss": _REDIS,
    "unix": _REDIS,
    "juggernaut+redis": _JUGGERNAUT_2011,
    "juggernaut+rediss": _JUGGERNAUT_2011,
    "juggernaut+unix": _JUGGERNAUT_2011,
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
        raise LookupError(f"the scheme {scheme[:20]!r} is unknown; known are {', '.join(SCHEMES)}")
    path = SCHEMES[scheme] if separator else broker
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LookupError(f"{path!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Broker)):
        raise LookupError(f"{path!r} is not a subclass of django_jugpush.brokers.base.Broker")
    return found


def make_broker(config: BrokerConfig, *, keys: Sequence[bytes], find: Callable[[], Sequence[str]]) -> Broker:
    """
    Make what a Django process publishes through.

    Args:
        config: Its ``BROKER`` says which.
        keys: With which a push server that is posted to knows its project.
        find: Names push servers that may be this project's.

    Raises:
        LookupError: If ``BROKER`` names none.
        ValueError: If it is a URL that cannot be meant.
    """
    if config.BROKER is None:
        from .local import LocalBroker

        return LocalBroker(config.SERVER_URL, keys=keys, find=find)
    return find_class(config.BROKER).from_config(config)


def make_feed(config: BrokerConfig) -> Feed:
    """
    Make what a push server hears by.

    Raises:
        LookupError: If ``BROKER`` names no broker, or one without a feed.
        ValueError: If it is a URL that cannot be meant.
    """
    if config.BROKER is None:
        from .local import LocalFeed

        return LocalFeed(history=config.HISTORY)
    return find_class(config.BROKER).make_feed(config)


def find_problems(config: BrokerConfig) -> list[str]:
    """Return what is wrong with ``BROKER``, as sentences without the URL; opens no connection."""
    if config.BROKER is None:
        return []
    try:
        return list(find_class(config.BROKER).problems(config))
    except LookupError as error:
        return [f"It names no broker: {error}."]
