"""Whether a Redis that is full throws away what it was given to keep."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from django_jugpush.exceptions import BrokerError

__all__ = ["NO_EVICTION", "eviction_policy"]

NO_EVICTION = "noeviction"
"""The one policy by which a Redis that is full refuses publications, and forgets none."""

TIMEOUT = 2.0
"""Seconds for the connection, and for the answer."""


def eviction_policy(url: str) -> str:
    """
    Return Redis's ``maxmemory-policy``; where it has no ``maxmemory``, :data:`NO_EVICTION`, for so it acts.

    Raises:
        BrokerError: If it does not say.
    """
    # Not CONFIG GET: fewer accounts may do that, and where Redis is a service none may.
    try:
        with redis.Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT
        ) as client:
            memory = client.info("memory")
            return str(memory["maxmemory_policy"]) if memory["maxmemory"] else NO_EVICTION
    except (redis.RedisError, OSError, KeyError) as error:
        raise BrokerError(f"Redis does not tell of its memory: {error}") from error
