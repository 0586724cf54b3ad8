"""What holds the server together."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn

from django_jugpush.conf import Config
from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.server.app import TICKS_PER_PING, PushServer, ServerConfig
from django_jugpush.server.http import uvicorn_options

from .conftest import MemoryFeed, authorize


class Connection:
    """Keeps what it is sent."""

    is_busy = False

    def __init__(self):
        self.frames = []
        self.closed = None

    def wire(self, message):
        return message

    def send(self, frame):
        self.frames.append(frame)

    def close(self, code, reason):
        self.closed = code


SCOPE = {"type": "websocket", "query_string": b"protocol=1", "headers": []}


def make_push(feed=None, **config):
    return PushServer(
        ServerConfig(**config), authorize=authorize, origin_allowed=lambda *_, **__: True, feed=feed or MemoryFeed()
    )


def test_first_connections_start_the_feed_once():
    """However many come at the same time."""

    class SlowFeed(MemoryFeed):
        async def start(self, deliver):
            await asyncio.sleep(0)
            await super().start(deliver)

    async def main():
        push = make_push(feed := SlowFeed())
        await asyncio.gather(*(push.connect(Connection(), SCOPE) for _ in range(10)))
        assert feed.starts == 1
        assert len(push.hub) == 10

    asyncio.run(main())


def test_failing_heartbeat_does_not_end_the_others(monkeypatch, caplog):
    """It is tried again with the next tick."""

    async def main():
        push = make_push(ping_interval=0.01 * TICKS_PER_PING)
        ticked = asyncio.Event()
        ticks = []

        async def tick():
            ticks.append(True)
            if len(ticks) == 1:
                raise RuntimeError("a fault of the heartbeat")
            ticked.set()

        monkeypatch.setattr(push, "_tick", tick)
        await push.start()
        await asyncio.wait_for(ticked.wait(), 10)
        await push.stop()

    asyncio.run(main())
    assert "a fault of the heartbeat" in caplog.text


def test_stopping_ends_the_feed_and_what_is_left_of_clients(monkeypatch):
    """A second time does nothing; nor does it start anew for who comes late."""

    async def main():
        push = make_push(feed := MemoryFeed())
        await push.connect(connection := Connection(), SCOPE)
        stopping = asyncio.create_task(push.stop())
        await asyncio.sleep(0)
        assert connection.closed == DisconnectCode.SHUTDOWN
        push.connection_lost(connection)
        await stopping
        assert feed.deliver is None
        await push.stop()
        await push.connect(late := Connection(), SCOPE)
        assert late.closed == DisconnectCode.SHUTDOWN
        assert feed.starts == 1
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_drain_waits_for_those_who_are_here_and_not_for_those_who_were():
    """However often the house was empty before."""

    async def main():
        push = make_push()
        for _ in range(2):
            await push.connect(connection := Connection(), SCOPE)
            push.connection_lost(connection)
        await push.connect(connection := Connection(), SCOPE)
        draining = asyncio.create_task(push.drain(60))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not draining.done()
        push.connection_lost(connection)
        await asyncio.wait_for(draining, 10)
        await push.stop()

    asyncio.run(main())


def test_strangers_are_no_fault():
    """A connection may be reported lost, or sent away, after it is gone or before it was there."""
    push = make_push()
    push.disconnect(Connection(), DisconnectCode.SLOW)
    push.connection_lost(Connection())


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("max_message_size", "MAX_MESSAGE_SIZE"),
        ("max_subscriptions", "MAX_SUBSCRIPTIONS"),
        ("max_channels", "MAX_CHANNELS"),
        ("max_connections", "MAX_CONNECTIONS"),
        ("max_connections_per_address", "MAX_CONNECTIONS_PER_ADDRESS"),
        ("max_connections_per_user", "MAX_CONNECTIONS_PER_USER"),
        ("max_pending", "MAX_PENDING"),
        ("ping_interval", "PING_INTERVAL"),
        ("path", "PUBLIC_URL"),
    ],
)
def test_defaults_are_those_of_the_settings(option, key):
    """A server by itself behaves like one that Django set up."""
    assert getattr(ServerConfig(), option) == getattr(Config(), key)


def test_uvicorn_takes_the_options():
    """And has heartbeats, compression and access log off."""
    push = make_push(max_message_size=1234)
    config = uvicorn.Config(push, log_config=None, **uvicorn_options(push))
    assert config.ws_max_size == 1234
    assert config.ws_ping_interval is None
    assert not config.ws_per_message_deflate
    assert not config.access_log


@pytest.mark.parametrize("max_rate", [1e5, 1e3])
def test_newest_arrives_on_uvloop(max_rate):
    """It makes no timer of one that is due at once."""
    uvloop = pytest.importorskip("uvloop")

    async def scenario():
        push, offsets, newest_came = make_push(), [], asyncio.Event()

        def publish(publication):
            offsets.append(publication.position.offset)
            if offsets[-1] == 3:
                newest_came.set()
            return 1

        push.hub.publish = publish
        for offset in (1, 2, 3):
            one = Publication(id="id", channel="news", max_rate=max_rate, position=Position("e", offset, offset))
            push.deliver([one])
        async with asyncio.timeout(5):
            await newest_came.wait()
        assert offsets == [1, 3]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
