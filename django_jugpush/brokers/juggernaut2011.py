"""
The Redis of a Juggernaut of 2011: publishing to its servers, and telling its rosters what clients do.

``juggernaut+redis://…`` publishes as programs did then, so that a running original server delivers it; and so does any
push server of this project that hears the same Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import msgspec
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from django_jugpush.core.notices import Notice
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError

from .base import BrokerConfig
from .redis import FIRST_PAUSE, LONGEST_PAUSE, RedisBroker
from .redis.connections import check
from .redis.tasks import heed_cancellation

__all__ = ["SCHEME_PREFIX", "Juggernaut2011Broker", "Juggernaut2011Notices", "redis_url"]

logger = logging.getLogger(__name__)

SCHEME_PREFIX = "juggernaut+"
"""Stands before the scheme of a Redis URL."""

MAX_WAITING = 10_000
"""Notices that wait for Redis at most."""

BATCH = 500
"""Notices that are sent in one round trip."""

STOP_TIMEOUT = 2.0
"""Seconds that the last notices have when the server stops."""

DEADLY_NAMES = frozenset(
    {
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    }
)
"""Members of every JavaScript object: an original server that is sent one as a channel delivers nothing ever after."""


def redis_url(url: str) -> str:
    """Return the Redis URL that a broker's URL holds."""
    return url.removeprefix(SCHEME_PREFIX)


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a server of 2011 understands."""

    channels: list[str]
    data: msgspec.Raw
    exclude: str | list[str] | None = msgspec.field(name="except", default=None)


class Juggernaut2011Broker(RedisBroker):
    """
    Publishes to servers of 2011, one round trip a batch.

    They know no channel that is only stale, and no version of a row: the former is left out, the latter not sent.
    """

    def __init__(self, url: str, *, key: str = "juggernaut") -> None:
        super().__init__(redis_url(url))
        self._key = key

    @classmethod
    def from_config(cls, config: BrokerConfig) -> Juggernaut2011Broker:
        return cls(config.BROKER or "", key=config.LEGACY_CHANNEL or "juggernaut")

    @classmethod
    def problems(cls, config: BrokerConfig) -> Iterator[str]:
        yield from super().problems(config)
        if config.has_tenants:
            yield "Servers of 2011 know no tenants, so NAMESPACE must be text."
        if config.LEGACY_CHANNEL is None:
            yield "It publishes to LEGACY_CHANNEL, which is None."

    def publish(self, publications: Sequence[Publication]) -> None:
        messages = self._messages([one for one in publications if one.channel not in DEADLY_NAMES])
        check(self._connections.exchange(("PUBLISH", self._key, message) for message in messages))
        if deadly := [one.channel for one in publications if one.channel in DEADLY_NAMES]:
            raise BrokerError(f"Not published to {deadly[0]!r}: no server of 2011 would deliver anything after it.")

    def _messages(self, publications: Sequence[Publication]) -> Iterator[bytes]:
        living = [one for one in publications if not one.stale]
        # What one publish() call made for several channels is one message again.
        for _, group in groupby(living, key=lambda one: (one.id, one.exclude, bytes(one.data))):
            first, *rest = group
            channels = [first.channel, *(one.channel for one in rest)]
            yield _encode(channels, first)


def _encode(channels: list[str], publication: Publication) -> bytes:
    excluded = publication.exclude
    exclude = excluded[0] if len(excluded) == 1 else list(excluded) or None
    return msgspec.json.encode(_Message(channels=channels, data=publication.data, exclude=exclude))


class Juggernaut2011Notices:
    """
    Publishes what clients do to ``juggernaut:subscribe``, ``juggernaut:unsubscribe`` and ``juggernaut:custom``.

    One task has a connection of its own. While Redis is away notices wait; when there are too many, those that come
    are lost, and the log says how many.
    """

    def __init__(self, url: str, *, key: str = "juggernaut") -> None:
        self._url = redis_url(url)
        self._key = key
        self._waiting: deque[Notice] = deque()
        self._lost = 0
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        client = redis.asyncio.Redis.from_url(
            self._url, retry=AsyncRetry(NoBackoff(), 0), socket_connect_timeout=2.0, socket_timeout=5.0
        )
        self._task = asyncio.create_task(self._publish_for_ever(client), name="jugpush-notices")

    async def stop(self) -> None:
        if self._task:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), STOP_TIMEOUT)
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def take(self, notice: Notice) -> bool:
        if len(self._waiting) >= MAX_WAITING:
            self._lost += 1
            return False
        self._waiting.append(notice)
        self._idle.clear()
        self._changed.set()
        return True

    async def _publish_for_ever(self, client: redis.asyncio.Redis) -> None:
        failures = 0
        async with client:
            while True:
                try:
                    await self._publish_waiting(client)
                    failures = 0
                except (redis.RedisError, OSError) as error:
                    if not failures:
                        logger.error("Redis cannot be told what clients do; trying again until it can: %s", error)
                    failures += 1
                    # Full jitter, so that the servers of a farm do not come back in step.
                    await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures)))

    async def _publish_waiting(self, client: redis.asyncio.Redis) -> None:
        while self._waiting:
            # What is sent over a connection that breaks may have arrived, so it is not sent twice; asked before, Redis
            # says whether it is there, and only what was on its way when it went is lost.
            await client.ping()
            pipeline = client.pipeline(transaction=False)
            for notice in islice(self._waiting, BATCH):
                pipeline.publish(f"{self._key}:{notice.kind}", notice.encode())
            for _ in range(len(pipeline)):
                self._waiting.popleft()
            # Not raise_on_error: redis-py would put the command into the message, and that into the log.
            answers = await pipeline.execute(raise_on_error=False)
            heed_cancellation()
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        if self._lost:
            logger.warning("%d notices of what clients did were lost while Redis was away.", self._lost)
            self._lost = 0
        self._idle.set()
        self._changed.clear()
        await self._changed.wait()
