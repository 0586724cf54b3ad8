"""A feed on a real redis-server, with what it heard, and somebody who publishes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

import msgspec
import redis

from django_jugpush.brokers.redis import RedisBroker, RedisFeed
from django_jugpush.core.channels import full_name
from django_jugpush.core.history import Replay
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from tests.waiting import PATIENCE

META, STREAM = "tests:0:m:{news}", "tests:0:s:{news}"
"""What Redis holds of the channel ``news``."""


class Ear:
    """A feed with what it heard."""

    def __init__(self, url: str, namespace: str = "tests", **options: float) -> None:
        self.namespace = namespace
        self.feed = RedisFeed(url, namespace=namespace, **options)
        self.heard: asyncio.Queue[Publication] = asyncio.Queue()

    def deliver(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            self.heard.put_nowait(publication)

    async def listen(self, *channels: str) -> None:
        names = [full_name(self.namespace, channel) for channel in channels]
        self.feed.listen(names)
        async with asyncio.timeout(5):
            for name in names:
                await self.feed.ready(name)

    async def read(self, channel: str, since: Position | None = None) -> Replay:
        return await self.feed.read(full_name(self.namespace, channel), since)

    async def follow(self, *channels: str) -> None:
        """Listen as the hub does, which reads a channel before it answers."""
        await self.listen(*channels)
        for channel in channels:
            await self.read(channel)

    async def take(self, number: int) -> list[str]:
        """Return what was heard next: data, or why something is stale."""
        publications = [await self.next() for _ in range(number)]
        return [publication.stale or bytes(publication.data).decode() for publication in publications]

    async def next(self) -> Publication:
        async with asyncio.timeout(5):
            return await self.heard.get()

    async def nothing_before(self, broker: RedisBroker, channel: str) -> None:
        """Assert that the next thing heard is what is published now, so that nothing came before it."""
        broker.publish([publication(channel, b'"marker"', namespace=self.namespace)])
        assert bytes((await self.next()).data) == b'"marker"'


def asynchronous(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a test on an event loop of its own; fail if it does not come to its end."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), PATIENCE))

    return run


@contextlib.asynccontextmanager
async def ear(url: str, namespace: str = "tests", **options: float) -> AsyncIterator[Ear]:
    one = Ear(url, namespace, **options)
    await one.feed.start(one.deliver)
    try:
        yield one
    finally:
        await one.feed.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the conditions are redis-server's, which sets no event
            await asyncio.sleep(0.01)


def publication(channel: str, data: bytes = b"1", namespace: str = "tests", **more: object) -> Publication:
    more = {"id": "id"} | more
    return Publication(channel=channel, namespace=namespace, data=msgspec.Raw(data), **more)


class Publisher:
    """Publishes numbers."""

    def __init__(self, url: str, broker: RedisBroker | None = None) -> None:
        self.broker = broker or RedisBroker(url)

    def __call__(self, *numbers: int, channel: str = "news", **more: object) -> None:
        self.broker.publish([publication(channel, b"%d" % number, id=str(number), **more) for number in numbers])


def now(client: redis.Redis) -> int:
    """Return the time by Redis's clock, in milliseconds."""
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000
