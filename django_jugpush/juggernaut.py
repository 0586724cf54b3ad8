"""
The Python API of Juggernaut (2011), for programs written for it.

Change ``from juggernaut import Juggernaut`` to ``from django_jugpush.juggernaut import Juggernaut``. A project that
starts anew publishes with :func:`django_jugpush.publish`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.serializers.json import DjangoJSONEncoder
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

from .brokers import is_redis
from .brokers.juggernaut2011 import redis_url
from .conf import get_config

__all__ = ["Juggernaut"]

logger = logging.getLogger(__name__)


class Juggernaut:
    """
    Publishes to every Juggernaut server of a Redis, of 2011 or of this package, and hears what their clients do.

    Args:
        redis_connection: A ``redis.Redis``. By default one to the Redis of ``JUGPUSH["BROKER"]``; where that names
            none, to the one of this machine.
        key: The Redis channel to publish to: the ``LEGACY_CHANNEL`` of the servers.
    """

    events = ("juggernaut:subscribe", "juggernaut:unsubscribe", "juggernaut:custom")
    """The Redis channels on which servers tell what clients do."""

    def __init__(self, redis_connection: redis.Redis | None = None, key: str = "juggernaut") -> None:
        self.redis = redis_connection or _connect()
        self.key = key

    def publish(
        self, channels: str | Iterable[str], data: Any, except_: str | Iterable[str] | None = None, **options: Any
    ) -> None:
        """
        Publish ``data`` to a channel or to several, at once: a transaction is not waited for.

        Args:
            channels: A name, or names; each gets it once, in the order given.
            data: Anything that Django writes as JSON.
            except_: The id of a client that does not get it, or several.
            options: More keys of the message. Servers of 2011 pass them on to their pages, others do not.

        Raises:
            redis.RedisError: If Redis cannot be reached, or refuses it.
            TypeError: If something in ``data`` has no form in JSON.
            ValueError: If it holds NaN or infinity, which JSON doesn't have.
        """
        message: dict[str, Any] = {"channels": _listed(channels), "data": data}
        if except_:
            message["except"] = except_ if isinstance(except_, str) else list(except_)
        self.redis.publish(self.key, json.dumps(message | options, cls=DjangoJSONEncoder, allow_nan=False))

    def subscribe_listen(self) -> Iterator[tuple[str, Any]]:
        """
        Yield what clients do, for ever, as pairs of ``subscribe``, ``unsubscribe`` or ``custom`` and a dict.

        Raises:
            redis.RedisError: If Redis cannot be reached any more.
        """
        pubsub: PubSub = self.redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        with pubsub:
            # In one command, so nothing can come between the first channel and the last.
            pubsub.subscribe(*self.events)
            for message in pubsub.listen():  # type: ignore[no-untyped-call]
                channel, text = _text(message["channel"]), _text(message["data"])
                try:
                    data = json.loads(text)
                except (ValueError, RecursionError):
                    logger.warning("%s brought something that is not JSON: %r", channel, text[:100])
                else:
                    yield channel.rpartition(":")[2], data

    def subscribe(self, handler: Callable[[str, Any], object]) -> None:
        """Call ``handler(event, data)`` for all that :meth:`subscribe_listen` yields. Never returns."""
        for event, data in self.subscribe_listen():
            handler(event, data)


def _listed(channels: str | Iterable[str]) -> list[str]:
    return list(dict.fromkeys([channels] if isinstance(channels, str) else channels))


def _text(value: bytes | str) -> str:
    # Which of the two depends on the connection's decode_responses.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _connect() -> redis.Redis:
    """Connect as configured, without redis-py's retries, which could hold a request for seconds."""
    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": 1.0}
    return redis.Redis.from_url(_configured_url() or "redis://localhost", **options)


def _configured_url() -> str | None:
    if not settings.configured and ENVIRONMENT_VARIABLE not in os.environ:  # a script outside of any project
        return None
    broker = get_config().BROKER
    return redis_url(broker) if is_redis(broker) else None
