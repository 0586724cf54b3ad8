"""When the server begins to work, and when it ceases to."""

from __future__ import annotations

import asyncio

import pytest

from django_jugpush.core.codes import DisconnectCode
from django_jugpush.server.life import Life

from .conftest import SCOPE, TIMEOUT, Connection, MemoryFeed, make_push


class Parts:
    """Three parts and a claim; says what happened to them, and lets the second begin when the test says so."""

    def __init__(self):
        self.happened = []
        self.may_begin = asyncio.Event()
        self.error = None

    def life(self):
        return Life([self.part(name) for name in "abc"], feed=MemoryFeed(), claim=self)

    def part(self, name):
        parts = self

        class Part:
            async def start(self):
                parts.happened.append(f"{name} begins")
                if name == "b":
                    await parts.may_begin.wait()
                    if parts.error:
                        raise parts.error

            async def stop(self):
                parts.happened.append(f"{name} ceases")

        return Part()

    async def take(self):
        self.happened.append("claimed")
        return True

    async def give_up(self):
        self.happened.append("given up")

    async def reach(self, what):
        """Wait until this has happened."""
        async with asyncio.timeout(TIMEOUT):
            while self.happened[-1:] != [what]:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)


BEGINNING = ["claimed", "a begins", "b begins"]


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


def test_start_goes_on_without_who_came_first():
    """A client that goes meanwhile takes the start with it neither from others nor from the server."""

    async def main():
        life = (parts := Parts()).life()
        first = asyncio.create_task(life.start())
        await parts.reach("b begins")
        second = asyncio.create_task(life.start())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first], timeout=TIMEOUT)
        assert first.cancelled() and not second.done()
        parts.may_begin.set()
        await asyncio.wait_for(second, TIMEOUT)
        await life.start()
        assert life.is_started
        assert parts.happened == [*BEGINNING, "c begins"]
        await life.stop()
        assert parts.happened[4:] == ["c ceases", "b ceases", "a ceases", "given up"]

    asyncio.run(main())


def test_start_that_fails_leaves_nothing_begun():
    """Whoever waited for it is told, and the next one begins anew."""

    async def main():
        life = (parts := Parts()).life()
        parts.error = OSError("no port is free")
        parts.may_begin.set()
        for failed in await asyncio.gather(life.start(), life.start(), return_exceptions=True):
            assert failed is parts.error
        end = ["b ceases", "a ceases", "given up"]
        assert parts.happened == [*BEGINNING, *end]
        assert not life.is_started
        await life.stop()
        assert parts.happened == [*BEGINNING, *end]
        parts.happened.clear()
        parts.error = None
        await life.start()
        assert life.is_started
        assert parts.happened == [*BEGINNING, "c begins"]

    asyncio.run(main())


def test_start_that_is_cut_off_leaves_nothing_begun():
    """The process ends in the middle of it."""
    parts = []

    async def main():
        parts.append(Parts())
        life = parts[0].life()
        starting = asyncio.create_task(life.start())
        await parts[0].reach("b begins")
        raise KeyboardInterrupt(starting)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert parts[0].happened == [*BEGINNING, "b ceases", "a ceases", "given up"]


def test_stop_waits_for_a_start_that_is_under_way():
    """And then stops all of it."""

    async def main():
        life = (parts := Parts()).life()
        starting = asyncio.create_task(life.start())
        await parts.reach("b begins")
        stopping = asyncio.create_task(life.stop())
        await asyncio.sleep(0)
        assert parts.happened == BEGINNING
        parts.may_begin.set()
        async with asyncio.timeout(TIMEOUT):
            await asyncio.gather(starting, stopping)
        assert not life.is_started
        assert parts.happened[3:] == ["c begins", "c ceases", "b ceases", "a ceases", "given up"]

    asyncio.run(main())
