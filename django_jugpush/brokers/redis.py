"""
The ``redis`` broker: any number of publishing processes and push servers, joined by one Redis.

A channel of a namespace is one Redis pub/sub channel, ``<namespace>:<database>:c:<name>``: pub/sub knows no database
numbers, so the number stands in the name. A push server subscribes only to the channels that it has listeners for.

redis-py's own retries are off on both sides. In Django they would hold a request for seconds, and run a publish twice
that had only been slow. On the server they reconnect in silence, so that nobody would know that something was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import redis
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from django_jugpush.core.channels import split_name
from django_jugpush.core.firehose import Firehose
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerError, BrokerUnavailable

from .base import Broker, BrokerConfig, Deliver, Feed

__all__ = ["RedisBroker", "RedisFeed", "RedisNames", "read_url"]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 0.2
"""Seconds that a publish waits for a connection."""

ANSWER_TIMEOUT = 0.8
"""Seconds that a publish waits for an answer."""

MAX_CONNECTIONS = 2**31
"""No limit: there are as many as threads that publish at the same time. redis-py refuses the 101st unless told."""

FIRST_PAUSE = 0.05
"""Seconds that the first attempt to hear Redis again waits at most; doubled with each."""

LONGEST_PAUSE = 2.0
"""Seconds between attempts at most."""

BATCH = 500
"""Channels in one SUBSCRIBE."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Publication)


def read_url(url: str) -> dict[str, Any]:
    """
    Return what a URL says, as redis-py understands it.

    Raises:
        ValueError: If it cannot be meant.
    """
    try:
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        # This, which connects to nothing, is what objects to options that there are not.
        redis.ConnectionPool.from_url(url).make_connection()
        is_understood = urlsplit(url).scheme == "unix" or _DATABASE.fullmatch(urlsplit(url).path) is not None
    except (ValueError, TypeError, redis.RedisError):
        is_understood = False
    if is_understood and "decode_responses" not in options:
        return options
    # Not what the exception says: if a password has a character that means something in a URL, it is quoted there.
    raise ValueError(
        "it is no URL of a Redis that can be understood; in a password, '/', '#', '?', '@' and '%' must be "
        "percent-encoded"
    )


_DATABASE = re.compile("/?[0-9]*")


class RedisNames:
    """Turns channels into names in Redis that no other project, tenant or database can share."""

    def __init__(self, url: str) -> None:
        self._database: int = read_url(url).get("db", 0)

    def channel(self, full_name: str) -> str:
        """Return the pub/sub channel of a channel."""
        namespace, name = split_name(full_name)
        # Braces would choose a cluster's hash slot, and the glob characters mean something to ACLs and PSUBSCRIBE.
        return f"{namespace}:{self._database}:c:{quote(name, safe=':/@.,;=+$!~&() ')}"

    def control(self, namespace: str) -> str:
        """Return the pub/sub channel of what servers tell each other, where ``namespace`` is the setting."""
        return f"{namespace}:{self._database}:control"


class RedisBroker(Broker):
    """Publishes through a Redis, one round trip a batch. Shared by threads, each with a connection of its own."""

    def __init__(self, url: str) -> None:
        self.names = RedisNames(url)
        pool = redis.ConnectionPool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            max_connections=MAX_CONNECTIONS,
        )
        # Not Redis.from_url(): such a client closes its pool when it goes, and a forked child, where a lock of the
        # pool may be held by a thread that is not there, would not come to its end.
        self._redis = redis.Redis(connection_pool=pool)

    @classmethod
    def from_config(cls, config: BrokerConfig) -> RedisBroker:
        return cls(config.BROKER or "")

    @classmethod
    def make_feed(cls, config: BrokerConfig) -> RedisFeed:
        return RedisFeed(
            (config.BROKER or "").removeprefix("juggernaut+"),
            namespace=config.NAMESPACE,
            # What is published there names no tenant.
            firehose=None if config.has_tenants else config.LEGACY_CHANNEL,
            max_size=config.MAX_MESSAGE_SIZE,
        )

    @classmethod
    def problems(cls, config: BrokerConfig) -> Iterator[str]:
        try:
            read_url((config.BROKER or "").removeprefix("juggernaut+"))
        except ValueError as error:
            yield f"After its scheme, {error}."

    def publish(self, publications: Sequence[Publication]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for channel, message in self.messages(publications):
            pipeline.publish(channel, message)
        try:
            # Not raise_on_error: redis-py would put the command, so the data, into the message and that into a log.
            answers = pipeline.execute(raise_on_error=False)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"Redis cannot be reached: {error}") from error
        except redis.RedisError as error:
            raise BrokerError(f"Redis refused the publications: {error}") from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise BrokerError(f"Redis refused a publication: {answer}")

    def messages(self, publications: Sequence[Publication]) -> Iterable[tuple[str, bytes]]:
        """Return what is published for ``publications``, and to which of Redis's channels."""
        for publication in publications:
            yield self.names.channel(publication.full_name), _encoder.encode(publication)

    def close(self) -> None:
        self._redis.connection_pool.disconnect()


@dataclass(slots=True)
class _Channel:
    """A channel that has, or lately had, listeners here."""

    name: str
    """Its full name."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    missed: bool = False


class RedisFeed(Feed):
    """
    Hears the channels that this push server has listeners for.

    One task owns the connection and makes it anew whenever it breaks or falls silent. What was published meanwhile is
    lost to this server, so every channel that was heard before is told that it is stale.

    Args:
        url: Which Redis.
        namespace: The setting ``NAMESPACE``, also where it is the path of a callable.
        firehose: The Redis channel to which anyone may publish as in 2011; None closes it.
        max_size: Bytes of a publication that comes from there.
        linger: Seconds that a channel is heard after its last listener has gone.
        ping_interval: Seconds of silence after which Redis is asked whether it is still there.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        firehose: str | None = None,
        max_size: int = 65_536,
        linger: float = 5.0,
        ping_interval: float = 10.0,
    ) -> None:
        self.names = RedisNames(url)
        self.is_connected = False
        self._control_channel = self.names.control(namespace)
        # Not the URL itself: it may hold a password, and this object may be shown to whoever looks for a fault.
        self._connect: Callable[[], redis.asyncio.Redis] = lambda: redis.asyncio.Redis.from_url(
            url, retry=AsyncRetry(NoBackoff(), 0), socket_connect_timeout=2.0, socket_timeout=5.0
        )
        self._linger = linger
        self._ping_interval = ping_interval
        self._firehose_channel = firehose
        self._firehose = Firehose(namespace=namespace, max_size=max_size)
        self._deliver: Deliver = lambda publications: None
        self._task: asyncio.Task[None] | None = None
        # By their names in Redis. This, not what redis-py remembers, is the truth that a new connection follows.
        self._channels: dict[str, _Channel] = {}
        self._asking: list[str] = []
        self._leaving: dict[str, float] = {}  # name → when; in that order, as all linger equally long
        self._changed = asyncio.Event()

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._task = asyncio.create_task(self._keep_connected(), name="jugpush-redis-feed")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def listen(self, channels: Iterable[str]) -> None:
        for channel in channels:
            name = self.names.channel(channel)
            if name in self._channels:
                self._leaving.pop(name, None)
            else:
                self._channels[name] = _Channel(channel)
                self._asking.append(name)
        self._changed.set()

    def forget(self, channels: Iterable[str]) -> None:
        leave_at = asyncio.get_running_loop().time() + self._linger
        for name in map(self.names.channel, channels):
            if name in self._channels:
                self._leaving[name] = leave_at
        self._changed.set()

    async def ready(self, channel: str) -> None:
        if known := self._channels.get(self.names.channel(channel)):
            await known.heard.wait()

    def is_ready(self, channel: str) -> bool:
        known = self._channels.get(self.names.channel(channel))
        return known is not None and known.heard.is_set()

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            client = self._connect()
            try:
                async with client, client.pubsub() as pubsub:
                    await pubsub.subscribe(*filter(None, [self._control_channel, self._firehose_channel]))
                    if failures:
                        logger.warning("Redis can be heard again, after %d attempts.", failures)
                    failures = 0
                    await self._follow(pubsub)
            except Exception as error:
                if not failures:
                    expected = isinstance(error, (redis.RedisError, OSError))
                    logger.error(
                        "Redis cannot be heard; trying again until it can: %s",
                        error,
                        exc_info=None if expected else error,
                    )
                failures += 1
            finally:
                self._connection_lost()
            # Full jitter, so that the servers of a farm do not come back in step.
            await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures)))

    async def _follow(self, pubsub: PubSub) -> None:
        """Hear and subscribe until the connection breaks."""
        self.is_connected = True
        self._asking = list(self._channels)
        hearing = asyncio.create_task(self._hear(pubsub))
        subscribing = asyncio.create_task(self._subscribe(pubsub))
        try:
            done, _ = await asyncio.wait([hearing, subscribing], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            hearing.cancel()
            subscribing.cancel()
            await asyncio.gather(hearing, subscribing, return_exceptions=True)

    def _connection_lost(self) -> None:
        self.is_connected = False
        for channel in self._channels.values():
            if channel.heard.is_set():
                channel.heard.clear()
                channel.missed = True

    async def _hear(self, pubsub: PubSub) -> None:
        """Hand over what arrives; raise when the connection breaks, or stays silent in spite of a ping."""
        pinged = False
        while True:
            message: dict[str, Any] | None = await pubsub.get_message(timeout=self._ping_interval)
            if message is not None:
                pinged = False
                self._receive(message)
            elif pinged:
                raise redis.TimeoutError("Redis does not answer a ping.")
            else:
                pinged = True
                await pubsub.ping()

    def _receive(self, message: dict[str, Any]) -> None:
        if message["type"] == "message" and message["channel"].decode() == self._firehose_channel:
            self._deliver(self._firehose.receive(message["data"]))
        elif message["type"] == "pong" or (channel := self._channels.get(message["channel"].decode())) is None:
            return
        elif message["type"] == "message":
            if publication := _read(message["data"], channel.name):
                self._deliver([publication])
        elif message["type"] == "subscribe":
            channel.heard.set()
            if channel.missed:
                channel.missed = False
                namespace, name = split_name(channel.name)
                self._deliver([Publication(id="", channel=name, namespace=namespace, stale="gap")])

    async def _subscribe(self, pubsub: PubSub) -> None:
        """Subscribe to what has listeners, in batches; leave what has had none for a while."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            asking, self._asking = self._asking, []
            for start in range(0, len(asking), BATCH):
                await pubsub.subscribe(*asking[start : start + BATCH])
            due = list(itertools.takewhile(lambda name: self._leaving[name] <= loop.time(), self._leaving))
            for name in due:
                del self._channels[name], self._leaving[name]
            if due:
                await pubsub.unsubscribe(*due)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next(iter(self._leaving.values()), None)):
                    await self._changed.wait()


def _read(data: bytes, full_name: str) -> Publication | None:
    """Return the publication, if it is one for the channel that it came by: Redis guards those, not what is in it."""
    try:
        publication = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        logger.warning("Redis brought something that is no publication: %s", error)
        return None
    if publication.full_name != full_name:
        logger.warning("Redis brought a publication by the wrong channel, that of %r.", full_name[:100])
        return None
    return publication
