"""However many have missed something: they do not all ask the site at once."""

from __future__ import annotations

import asyncio
import json
import random
from bisect import bisect

import msgspec
import pytest

from django_jugpush.brokers.redis import RedisBroker, RedisFeed
from django_jugpush.core.hub import REFRESH_RATE
from django_jugpush.core.publication import Publication
from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig
from tests.redis_server import running_redis

from .conftest import NAMESPACE, TIMEOUT, authorize

CLIENTS = 5_000

SCOPE = {"type": "websocket", "headers": [], "query_string": b"protocol=1", "scheme": "ws"}


class Page:
    """A client as far as the server can see: it keeps the words that it is sent."""

    def __init__(self):
        self.words = []

    is_busy = False

    @staticmethod
    def wire(message):
        return json.loads(message)

    def send(self, frame):
        self.words.append(frame)

    def close(self, code, reason):
        raise AssertionError(reason)

    def stale(self):
        return [word for word in self.words if word.get("type") == "stale"]

    def turn(self):
        """
        Return after how many seconds it asks the site, by the rule of client/src/turn.js.

        Being told twice, as a busy server may do, changes nothing: it has a turn already.
        """
        place = [word["place"] for word in self.words if word.get("type") == "connected"][-1]
        return place * self.stale()[0]["spread"] / 1000


@pytest.fixture
def own_redis(tmp_path):
    with running_redis(tmp_path) as server:
        yield server


@pytest.mark.parametrize("servers", [1, 2])
def test_flushed_redis_is_no_stampede(own_redis, servers):
    """
    Each of 5,000 pages has a channel of its own, and had something published; then all is forgotten.

    In no single second more ask than may, and a fifth; the servers share the rate.
    """
    pages = asyncio.run(_flush_under(own_redis, CLIENTS, servers))
    requests = sorted(page.turn() for page in pages)
    assert busiest_second(requests) <= 1.2 * REFRESH_RATE
    assert requests[-1] <= 1.1 * CLIENTS / REFRESH_RATE
    chance = random.Random(7)
    drawn = sorted(chance.uniform(0, page.stale()[0]["spread"]) / 1000 for page in pages)
    assert busiest_second(drawn) > 1.2 * REFRESH_RATE


def busiest_second(moments):
    """Return how many moments there are in a second at most, whenever that begins."""
    return max(bisect(moments, start + 1) - index for index, start in enumerate(moments))


async def _flush_under(own_redis, size, servers):
    feeds = [RedisFeed(own_redis.url, namespace=NAMESPACE) for _ in range(servers)]
    pushes = [
        PushServer(
            ServerConfig(ping_interval=3600),
            authorize=authorize,
            origin_allowed=lambda origin, **more: True,
            feed=feed,
        )
        for feed in feeds
    ]
    for push in pushes:
        await push.start()
    chance = random.Random(7)
    server_of = {Page(): chance.choice(pushes) for _ in range(size)}
    for page, push in server_of.items():
        await push.connections.connect(page, SCOPE)
    # Most servers have seen more than those who are there.
    for page in chance.sample([*server_of], size // 2):
        server_of[page].connections.connection_lost(page)
        server_of[page] = chance.choice(pushes)
        await server_of[page].connections.connect(page, SCOPE)
    for number, (page, push) in enumerate(server_of.items()):
        push.connections.receive(page, json.dumps({"type": "subscribe", "channel": f"open:{number}"}))
    await _until(lambda: all(page.words[-1]["type"] == "subscribed" for page in server_of))
    await _until(lambda: all(feed.servers == servers for feed in feeds))
    broker = RedisBroker(own_redis.url)
    await asyncio.to_thread(
        broker.publish,
        [
            Publication(id=str(number), channel=f"open:{number}", namespace=NAMESPACE, data=msgspec.Raw(b"1"))
            for number in range(size)
        ],
    )
    await _until(lambda: all("data" in page.words[-1] for page in server_of))
    with own_redis.client() as client:
        client.flushall()
        client.client_kill_filter(_type="pubsub")
    await _until(lambda: all(page.stale() for page in server_of))
    broker.close()
    for page, push in server_of.items():
        push.connections.connection_lost(page)
    for push in pushes:
        await push.stop()
    return list(server_of)


async def _until(condition):
    async with asyncio.timeout(6 * TIMEOUT):
        while not condition():  # noqa: ASYNC110 - in the server, nothing tells
            await asyncio.sleep(0.05)
