"""What follows from what a session was told."""

from __future__ import annotations

import asyncio

import msgspec

from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.publication import Publication
from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig

from .conftest import NAMESPACE, SCOPE, TIMEOUT, Connection, MemoryFeed, authorize


class Told:
    """Keeps what the project and the rights are told of subscriptions."""

    def __init__(self):
        self.notices = []
        self.rights = []

    async def start(self):
        pass

    async def stop(self):
        pass

    def take(self, notice):
        self.notices.append(notice.kind)
        return True

    def subscribed(self, session, grant):
        self.rights.append("subscribed")

    def ended(self, session):
        self.rights.append("ended")


class GatedFeed(MemoryFeed):
    """Is ready when the test says so."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def ready(self, channel):
        await self.gate.wait()


def test_client_that_overflows_by_what_was_kept_for_it_is_gone(monkeypatch):
    """Its end comes after its beginning, for whoever is told of both."""

    async def main():
        feed, told = GatedFeed(), Told()
        push = PushServer(
            ServerConfig(), authorize=authorize, origin_allowed=lambda *_, **__: True, feed=feed, takers=[told]
        )
        monkeypatch.setattr(push.rights, "subscribed", told.subscribed)
        monkeypatch.setattr(push.rights, "ended", told.ended)

        class Slow(Connection):
            def send(self, frame):
                super().send(frame)
                if b'"data"' in frame:
                    push.connections.disconnect(self, DisconnectCode.SLOW)

        await push.connections.connect(slow := Slow(), SCOPE)
        push.connections.receive(slow, '{"type":"subscribe","id":1,"channel":"open"}')
        async with asyncio.timeout(TIMEOUT):
            while not feed.channels:  # noqa: ASYNC110 - nothing tells when it waits
                await asyncio.sleep(0)
            feed.deliver([Publication(id="1", channel="open", namespace=NAMESPACE, data=msgspec.Raw(b"1"))])
            feed.gate.set()
            while slow.closed is None:  # noqa: ASYNC110 - nor when it is sent away
                await asyncio.sleep(0)
        push.connections.connection_lost(slow)
        assert slow.closed == DisconnectCode.SLOW
        assert (len(push.hub), push.hub.channels(), feed.channels) == (0, frozenset(), set())
        assert told.notices == ["subscribe", "unsubscribe"]
        assert told.rights == ["subscribed", "ended"]
        await push.stop()

    asyncio.run(main())
