"""The clients that are here."""

from __future__ import annotations

import asyncio

from django_jugpush.core.codes import DisconnectCode
from django_jugpush.server import handshake
from django_jugpush.server.websocket import WebSocketConnection, make_frame

from .conftest import SCOPE, TIMEOUT, Connection, MemoryFeed, make_push


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


def test_subscriptions_go_on_when_a_client_has_taken_what_was_queued_for_it():
    """A slow link is not given more than it takes."""

    async def main():
        push = make_push(feed := MemoryFeed())
        connection = WebSocketConnection(
            max_pending=4000, on_overflow=lambda: None, on_drain=lambda: push.connections.advance(connection)
        )
        sent = []

        async def send(message):
            sent.append(message)

        await push.connections.connect(connection, SCOPE)
        connection.send(make_frame(b"x" * 1500))
        push.connections.receive(connection, '{"type":"subscribe","id":1,"channel":"open"}')
        for _ in range(5):
            await asyncio.sleep(0)
        assert connection.is_busy and not feed.channels
        writing = asyncio.create_task(connection.write(send))
        async with asyncio.timeout(TIMEOUT):
            while len(sent) < 3:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            assert '"subscribed"' in sent[2]["text"]
            connection.lost()
            await writing
        push.connections.connection_lost(connection)
        await push.stop()

    asyncio.run(main())


def test_query_of_a_client_is_read_once(monkeypatch):
    """It is a stranger's, and everybody who comes back has one."""
    read = []
    parse = handshake.parse_qsl
    monkeypatch.setattr(handshake, "parse_qsl", lambda *query, **limit: read.append(query) or parse(*query, **limit))

    async def main():
        push = make_push()
        await push.connections.connect(connection := Connection(), SCOPE)
        assert b'"connected"' in connection.frames[0]
        push.connections.connection_lost(connection)
        await push.stop()

    asyncio.run(main())
    assert len(read) == 1
