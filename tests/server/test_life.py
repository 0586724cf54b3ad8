"""When the server begins to work, and when it ceases to."""

from __future__ import annotations

import asyncio

from django_jugpush.core.codes import DisconnectCode

from .conftest import SCOPE, Connection, MemoryFeed, make_push


def test_first_connections_start_the_feed_once():
    """However many come at the same time."""

    class SlowFeed(MemoryFeed):
        async def start(self, deliver):
            await asyncio.sleep(0)
            await super().start(deliver)

    async def main():
        push = make_push(feed := SlowFeed())
        await asyncio.gather(*(push.connections.connect(Connection(), SCOPE) for _ in range(10)))
        assert feed.starts == 1
        assert len(push.hub) == 10

    asyncio.run(main())


def test_stopping_ends_the_feed_and_what_is_left_of_clients(monkeypatch):
    """A second time does nothing; nor does it start anew for who comes late."""

    async def main():
        push = make_push(feed := MemoryFeed())
        await push.connections.connect(connection := Connection(), SCOPE)
        stopping = asyncio.create_task(push.stop())
        await asyncio.sleep(0)
        assert connection.closed == DisconnectCode.SHUTDOWN
        push.connections.connection_lost(connection)
        await stopping
        assert feed.deliver is None
        await push.stop()
        await push.connections.connect(late := Connection(), SCOPE)
        assert late.closed == DisconnectCode.SHUTDOWN
        assert feed.starts == 1
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
