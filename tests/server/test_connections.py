"""The clients that are here."""

from __future__ import annotations

import asyncio

from django_jugpush.core.codes import DisconnectCode

from .conftest import SCOPE, Connection, make_push


def test_drain_waits_for_those_who_are_here_and_not_for_those_who_were():
    """However often the house was empty before."""

    async def main():
        push = make_push()
        for _ in range(2):
            await push.connections.connect(connection := Connection(), SCOPE)
            push.connections.connection_lost(connection)
        await push.connections.connect(connection := Connection(), SCOPE)
        draining = asyncio.create_task(push.drain(60))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not draining.done()
        push.connections.connection_lost(connection)
        await asyncio.wait_for(draining, 10)
        await push.stop()

    asyncio.run(main())


def test_strangers_are_no_fault():
    """A connection may be reported lost, or sent away, after it is gone or before it was there."""
    push, stranger = make_push(), Connection()
    push.connections.disconnect(stranger, DisconnectCode.SLOW)
    push.connections.connection_lost(stranger)
    assert (stranger.frames, stranger.closed, len(push.hub)) == ([], None, 0)
