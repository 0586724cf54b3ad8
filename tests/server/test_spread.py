"""However many have missed something: they do not all ask the site at once."""

from __future__ import annotations

import asyncio
import json
import random

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

WINDOW = 10
"""Seconds over which requests are counted: what chance does within one second is averaged out."""


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


@pytest.fixture
def own_redis(tmp_path):
    with running_redis(tmp_path) as server:
        yield server


def test_flushed_redis_is_no_stampede(own_redis):
    """Each of 5,000 pages has a channel of its own, and had something published; then all is forgotten."""
    pages = asyncio.run(_flush_under(own_redis, CLIENTS))
    spreads = [page.stale()[0]["spread"] for page in pages]
    assert all(len(page.stale()) == 1 for page in pages)
    chance = random.Random(7)
    requests = sorted(chance.uniform(0, spread) / 1000 for spread in spreads)
    busiest = max(
        sum(start <= request < start + WINDOW for request in requests) / WINDOW
        for start in range(int(requests[-1]) + 1)
    )
    assert busiest <= 1.2 * REFRESH_RATE
    assert requests[-1] <= CLIENTS / REFRESH_RATE


async def _flush_under(own_redis, size):
    push = PushServer(
        ServerConfig(ping_interval=3600),
        authorize=authorize,
        origin_allowed=lambda origin, **more: True,
        feed=RedisFeed(own_redis.url, namespace=NAMESPACE),
    )
    await push.start()
    pages = [Page() for _ in range(size)]
    scope = {"type": "websocket", "headers": [], "query_string": b"protocol=1", "scheme": "ws"}
    for number, page in enumerate(pages):
        await push.connections.connect(page, scope)
        push.connections.receive(page, json.dumps({"type": "subscribe", "channel": f"open:{number}"}))
    await _until(lambda: all(page.words[-1]["type"] == "subscribed" for page in pages))
    broker = RedisBroker(own_redis.url)
    await asyncio.to_thread(
        broker.publish,
        [
            Publication(id=str(number), channel=f"open:{number}", namespace=NAMESPACE, data=msgspec.Raw(b"1"))
            for number in range(size)
        ],
    )
    await _until(lambda: all("data" in page.words[-1] for page in pages))
    with own_redis.client() as client:
        client.flushall()
        client.client_kill_filter(_type="pubsub")
    await _until(lambda: all(page.stale() for page in pages))
    broker.close()
    for page in pages:
        push.connections.connection_lost(page)
    await push.stop()
    return pages


async def _until(condition):
    async with asyncio.timeout(6 * TIMEOUT):
        while not condition():  # noqa: ASYNC110 - in the server, nothing tells
            await asyncio.sleep(0.05)
