"""A push server that follows what happens to rights, with a project and a feed of the test's own."""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import msgspec

from django_jugpush.brokers.local import LocalFeed
from django_jugpush.core.control import CONTROL_CHANNEL, CONTROL_HISTORY, ControlMessage
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable
from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig
from tests.server.conftest import SCOPE, Connection

_ids = (f"message{number}" for number in itertools.count())


class Project:
    """Stands in for the access half: a token reads ``<user>/<login>`` or ``?<user>``, which must be asked."""

    control_channel = f"tests:{CONTROL_CHANNEL}"

    def __init__(self):
        self.answer = lambda question: self.grant(question.grant.channel, question.grant.user, "L1", "authorizer")
        self.unasked = None
        self.changed = []
        self.asked = []

    def grant(self, channel, user, login, granted_by="page", **claims):
        now = time.time()
        return Grant(
            **{
                "channel": channel,
                "namespace": "tests",
                "user": user,
                "login": login,
                "fingerprint": "F1",
                "granted_by": granted_by,
                "issued": now,
                "expires": now + 3600,
                "renew_at": now + 3000,
            }
            | claims
        )

    def authorize(self, channel, token):
        if token is None:
            return Grant(channel=channel, namespace="tests")
        if token.startswith("?"):
            return Question(grant=self.grant(channel, token[1:], "L1", ""), reason="connection")
        return self.grant(channel, *token.split("/"))

    def open_control(self, publication):
        try:
            return msgspec.json.decode(bytes(publication.data), type=ControlMessage)
        except msgspec.MsgspecError:
            return None

    def resume_token(self, grant):
        return f"{grant.user}/{grant.login}"

    def renew_unasked(self, grant, *, now):
        return self.unasked(grant) if self.unasked else None

    def ask(self, question, *, after):
        self.asked.append((question, after))
        return self.answer(question)

    def find_changed(self, connected):
        self.connected = connected
        return self.changed


class Feed(LocalFeed):
    """A local one that can be cut off."""

    is_cut = False

    def is_ready(self, channel):
        return not (self.is_cut and channel == Project.control_channel)

    async def ready(self, channel):
        if not self.is_ready(channel):
            raise BrokerUnavailable("cut off")


class Client:
    """A connection and what it heard."""

    def __init__(self, push):
        self.push = push
        self.connection = Connection()
        self._taken = 0

    async def connect(self):
        await self.push.connections.connect(self.connection, SCOPE)
        assert self.words()[0]["type"] == "connected"
        return self

    def words(self):
        new = self.connection.frames[self._taken :]
        self._taken += len(new)
        return [json.loads(frame) for frame in new]

    async def subscribe(self, channel="orders", token="1/L1"):
        self.push.connections.receive(
            self.connection, json.dumps({"type": "subscribe", "id": 1, "channel": channel, "token": token})
        )
        return await self.word()

    async def word(self):
        """Return the next word."""
        async with asyncio.timeout(10):
            while True:
                if self._taken < len(self.connection.frames):
                    self._taken += 1
                    return json.loads(self.connection.frames[self._taken - 1])
                await asyncio.sleep(0)


class World:
    def __init__(self):
        self.project, self.feed = Project(), Feed()
        self.push = PushServer(
            ServerConfig(),
            authorize=self.project.authorize,
            origin_allowed=lambda *_, **__: True,
            feed=self.feed,
            authority=self.project,
        )

    @property
    def rights(self):
        return self.push.rights

    async def client(self):
        return await Client(self.push).connect()

    def tell(self, kind="reauthorize", **whom):
        """Send a message as a Django process does; return it."""
        message = ControlMessage(id=next(_ids), at=time.time(), kind=kind, namespace="tests", **whom)
        self.feed.receive([control(msgspec.json.encode(message))])
        return message

    def publish(self, channel="orders", data=b"1"):
        publication = Publication(id="1", channel=channel, namespace="tests", data=msgspec.Raw(data))
        self.feed.receive([publication])


async def until(is_true):
    """Wait for a condition."""
    while not is_true():  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0.001)


def control(data):
    return Publication(
        id="1", channel=CONTROL_CHANNEL, namespace="tests", data=msgspec.Raw(data), history=CONTROL_HISTORY
    )


def scenario(test):
    """Run an async test with a server that is stopped afterwards."""

    def run(monkeypatch):
        async def main():
            world = World()
            try:
                async with asyncio.timeout(20):
                    await test(world, monkeypatch)
            finally:
                world.push.life.is_draining = True
                for connection in list(world.push.connections._sessions):
                    world.push.connections.connection_lost(connection)
                await world.push.stop()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
