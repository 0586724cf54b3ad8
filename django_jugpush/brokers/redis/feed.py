"""What a push server hears by."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from django_jugpush.brokers.base import Deliver, Feed
from django_jugpush.core.firehose import Firehose
from django_jugpush.core.history import Replay, with_last
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.recovery import Follower
from django_jugpush.exceptions import BrokerError

from .names import RedisNames
from .reader import Reader, RedisRefused
from .scripts import decode, gap
from .tasks import Tasks, heed_cancellation

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "RedisFeed"]

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.05
"""Seconds that the first attempt to hear Redis again waits at most; doubled with each."""

LONGEST_PAUSE = 2.0
"""Seconds between attempts at most."""

BATCH = 500
"""Channels in one SUBSCRIBE."""

SWEEP_STEPS = 30
"""Parts in which the channels that are heard are looked after."""


class _Channel:
    """A channel that has, or lately had, listeners here."""

    __slots__ = ("follower", "has_unkept", "heard", "is_catching_up", "missed", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        """Its full name."""
        self.follower = Follower(name)
        self.heard = asyncio.Event()
        self.is_catching_up = False
        self.has_unkept = False
        """Whether something came of which no stream knows."""
        self.missed = False
        """Whether such a thing may be lost."""


class RedisFeed(Feed):
    """
    Hears the channels that this push server has listeners for.

    One task owns two connections, one that hears and one that asks, and makes both anew whenever one breaks or falls
    silent. What was published meanwhile is read from the streams. Where it is not there any more, a channel is told
    that it is stale.

    Args:
        url: Which Redis.
        namespace: The setting ``NAMESPACE``, also where it is the path of a callable.
        firehose: The Redis channel to which anyone may publish as in 2011; None closes it.
        max_size: Bytes of a publication that comes from there.
        linger: Seconds that a channel is heard after its last listener has gone.
        ping_interval: Seconds of silence after which Redis is asked whether it is still there.
        sweep_interval: Seconds in which each channel's stream is compared with what was heard: of something that got
            lost and upon which nothing follows there is no other sign.
        refused_pause: Seconds until a stream is read again that Redis would not read.
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
        sweep_interval: float = 30.0,
        refused_pause: float = 5.0,
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
        self._sweep_interval = sweep_interval
        self._refused_pause = refused_pause
        self._reader = Reader(self.names, namespace, forgotten=self._doubt)
        self._firehose_channel = firehose
        self._firehose = Firehose(namespace=namespace, max_size=max_size)
        self._deliver: Deliver = lambda publications: None
        self._task: asyncio.Task[None] | None = None
        self._tasks: Tasks | None = None
        # By their names in Redis. This, not what redis-py remembers, is the truth that a new connection follows.
        self._channels: dict[str, _Channel] = {}
        self._asking: list[str] = []
        self._leaving: dict[str, float] = {}  # name → when; in that order, as all linger equally long
        self._changed = asyncio.Event()

    @property
    def servers(self) -> int:
        return self._reader.servers

    async def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._task = asyncio.create_task(self._keep_connected(), name="jugpush-redis-feed")

    async def stop(self) -> None:
        if self._task:
            await self._reader.leave()
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
                if self.is_connected:
                    self._asking.append(name)
        self._changed.set()

    def forget(self, channels: Iterable[str]) -> None:
        leave_at = asyncio.get_running_loop().time() + self._linger
        for name in map(self.names.channel, channels):
            if name not in self._channels:
                continue
            if self.is_connected:
                self._leaving[name] = leave_at
            else:
                # However long Redis is away, and whatever is asked for meanwhile.
                del self._channels[name]
                self._leaving.pop(name, None)
        self._changed.set()

    async def ready(self, channel: str) -> None:
        if known := self._channels.get(self.names.channel(channel)):
            await known.heard.wait()

    def is_ready(self, channel: str) -> bool:
        known = self._channels.get(self.names.channel(channel))
        return known is not None and known.heard.is_set()

    async def read(self, channel: str, since: Position | None) -> Replay:
        known = self._channels.get(self.names.channel(channel))
        follower = known.follower if known and known.heard.is_set() else None
        if follower and since and since == follower.position and not follower.is_behind:
            return Replay(is_complete=True, position=since)
        answer = await self._reader.read(channel, since)
        if follower and not answer.replay.more:
            follower.start(answer.replay.position)
        return with_last(answer.replay, since, answer.last)

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            client = self._connect()
            try:
                async with client, client.pubsub() as pubsub:
                    await self._reader.connect(client)
                    await pubsub.subscribe(*filter(None, [self._control_channel, self._firehose_channel]))
                    heed_cancellation()
                    if failures:
                        logger.warning("Redis can be heard again, after %d attempts.", failures)
                    failures = 0
                    await self._follow(client, pubsub)
            except Exception as error:
                if not failures:
                    _log(error)
                failures += 1
            finally:
                self._connection_lost()
            # Full jitter, so that the servers of a farm do not come back in step.
            await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures)))

    async def _follow(self, client: redis.asyncio.Redis, pubsub: PubSub) -> None:
        """Hear, subscribe and ask until a connection breaks."""
        self.is_connected = True
        self._asking = list(self._channels)
        self._tasks = Tasks()
        for coroutine in (self._reader.run(client), self._hear(pubsub), self._subscribe(pubsub), self._sweep()):
            self._tasks.start(coroutine)
        await self._tasks.fail()

    def _connection_lost(self) -> None:
        self.is_connected = False
        self._tasks = None
        for channel in self._channels.values():
            channel.is_catching_up = False
            if channel.heard.is_set():
                channel.heard.clear()
                channel.missed |= channel.has_unkept or channel.follower.position is None

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
            heed_cancellation()

    def _receive(self, message: dict[str, Any]) -> None:
        if message["type"] == "message" and message["channel"].decode() == self._firehose_channel:
            self._receive_firehose(message["data"])
        elif message["type"] == "pong" or (channel := self._channels.get(message["channel"].decode())) is None:
            return
        elif message["type"] == "subscribe":
            self._confirm(channel)
        elif message["type"] == "message" and (publication := _parse(message["data"], channel.name)):
            self._hand_over(channel, channel.follower.receive(publication))
            self._look_behind(channel)

    def _receive_firehose(self, message: bytes) -> None:
        publications = self._firehose.receive(message)
        for publication in publications:
            if channel := self._channels.get(self.names.channel(publication.full_name)):
                # Of what comes this way no stream knows.
                channel.has_unkept = True
        self._deliver(publications)

    def _confirm(self, channel: _Channel) -> None:
        """Take note that what is published to a channel is heard from here on; find out what was before."""
        if channel.missed:
            channel.missed = False
            self._hand_over(channel, [gap(channel.name)])
        channel.follower.interrupt()
        self._look_behind(channel)
        if not channel.is_catching_up:
            channel.heard.set()

    def _hand_over(self, channel: _Channel, publications: Sequence[Publication]) -> None:
        if publications:
            try:
                self._deliver(publications)
            except Exception:
                channel.missed = True
                raise

    def _doubt(self) -> None:
        """Look into all streams, because Redis has forgotten something."""
        for channel in self._channels.values():
            if channel.heard.is_set():
                channel.follower.interrupt()
                self._look_behind(channel)

    def _look_behind(self, channel: _Channel) -> None:
        if channel.follower.is_behind and not channel.is_catching_up and self._tasks:
            channel.is_catching_up = True
            self._tasks.start(self._catch_up(channel))

    async def _catch_up(self, channel: _Channel) -> None:
        """Read a channel's stream until nothing is missing."""
        is_refused = False
        while channel.follower.is_behind and self._channels.get(self.names.channel(channel.name)) is channel:
            try:
                await self._read_on(channel)
            except RedisRefused as error:
                if not is_refused:
                    logger.error("What channel %r has missed cannot be read: %s", channel.name[:100], error)
                    self._hand_over(channel, [gap(channel.name)])
                is_refused = True
                await asyncio.sleep(self._refused_pause)
        channel.is_catching_up = False
        channel.heard.set()

    async def _read_on(self, channel: _Channel) -> None:
        follower = channel.follower
        heard, since = follower.heard, follower.ask()
        answer = await self._reader.read(channel.name, since)
        replay = answer.replay
        if answer.is_of_another_past or _contradicts(replay, heard):
            # This Redis is not what it was. Everybody who follows the stream must know.
            await self._reader.renew(channel.name, since)
            return
        if not replay.is_complete:
            replay = with_last(replay, since, answer.last)
        self._hand_over(channel, follower.catch_up(replay))

    async def _sweep(self) -> None:
        """Compare all streams with what was heard of them, again and again, a part at a time."""
        while True:
            channels = list(self._channels.values())
            parts = min(SWEEP_STEPS, len(channels)) or 1
            for part in range(parts):
                await asyncio.sleep(self._sweep_interval / parts)
                await asyncio.gather(*map(self._compare, channels[part::parts]))

    async def _compare(self, channel: _Channel) -> None:
        before = channel.follower.position
        if before is None or channel.follower.is_behind or not channel.heard.is_set():
            return
        try:
            end = await self._reader.end(channel.name)
        except RedisRefused:
            return  # as it will be the next time it is read
        if not _agrees(end, before, channel.follower.position):
            channel.follower.interrupt()
            self._look_behind(channel)

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
            heed_cancellation()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next(iter(self._leaving.values()), None)):
                    await self._changed.wait()


def _parse(message: bytes, full_name: str) -> Publication | None:
    """Return what the script that publishes sent: a position, and the publication that has it."""
    start, separator, data = message.partition(b" ")
    position = Position.parse(start.decode("ascii", "replace")) if separator else None
    if position is None or position.is_moment:
        logger.warning("Redis brought something without a position by the channel of %r.", full_name[:100])
        return None
    return decode(data, full_name, position)


def _contradicts(replay: Replay, heard: Position | None) -> bool:
    """Tell whether a stream ends before something that was heard of it."""
    end = replay.position
    return not replay.more and heard is not None and end is not None and end.epoch == heard.epoch and end < heard


def _agrees(end: Position | None, before: Position, after: Position | None) -> bool:
    """Tell whether a stream may have ended there between two moments at which so much was heard of it."""
    if end is None:
        return before.is_moment
    if end in (before, after):
        return True
    return after is not None and after.epoch == end.epoch and before.offset < end.offset < after.offset


def _log(error: Exception) -> None:
    expected = isinstance(error, redis.RedisError | OSError | BrokerError)
    logger.error("Redis cannot be heard; trying again until it can: %s", error, exc_info=None if expected else error)
