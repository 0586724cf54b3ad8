"""A push server that follows what happens to rights, with a project and a feed of the test's own."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import replace

import msgspec
import pytest

from django_jugpush.brokers.local import LocalFeed
from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.control import CONTROL_CHANNEL, CONTROL_HISTORY, ControlMessage
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable, SubscriptionDenied, TokenExpired
from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig
from django_jugpush.server.refusals import MAX_PER_SECOND
from django_jugpush.server.rights import project as rights

from .conftest import SCOPE, Connection

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


@scenario
async def test_answer_has_the_token_for_the_next_time(world, monkeypatch):
    """But that to a public channel."""
    client = await world.client()
    assert (await client.subscribe())["token"] == "1/L1"
    assert "token" not in await client.subscribe("open", None)


@scenario
async def test_what_is_stopped_is_stopped_in_the_same_turn(world, monkeypatch):
    """Nothing that is published after the message gets through."""
    client = await world.client()
    await client.subscribe()
    world.tell(users=("1",))
    world.publish()
    (word,) = client.words()
    assert (word["type"], word["code"]) == ("unsubscribed", ErrorCode.REAUTHORIZE)
    assert world.push.counts.stopped[ErrorCode.REAUTHORIZE] == 1


@scenario
async def test_other_identities_and_channels_go_on(world, monkeypatch):
    """A connection without the user's own subscriptions, too."""
    other, visitor = await world.client(), await world.client()
    await other.subscribe(token="2/L2")
    await visitor.subscribe("open", None)
    world.tell(users=("1",))
    world.tell("revoke", users=("1",), login="L1", is_final=True)
    world.publish()
    assert [word.get("data") for word in other.words()] == [1]
    assert visitor.words() == []


@scenario
async def test_question_is_answered_in_a_thread(world, monkeypatch):
    """Meanwhile the connection goes on; the answer knows what was told before."""
    world.tell(users=("9",))
    client = await world.client()
    message = world.tell(channel="elsewhere")
    assert (await client.subscribe(token="?1"))["token"] == "1/L1"
    ((question, after),) = world.project.asked
    assert (question.reason, question.grant.user, after) == ("connection", "1", message.id)


def test_project_that_fails_does_not_fill_the_log(monkeypatch, caplog):
    """Whoever has a token can ask as often as commands are taken."""

    async def test(world, monkeypatch):
        def answer(question):
            raise RuntimeError("the database is away")

        client = await world.client()
        world.tell(channel="elsewhere")
        world.project.answer = answer
        for _ in range(3 * MAX_PER_SECOND):
            word = await client.subscribe(token="?1")
            assert word["code"] == ErrorCode.INTERNAL
        assert 0 < caplog.text.count("Traceback") <= 2 * MAX_PER_SECOND

    scenario(test)(monkeypatch)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SubscriptionDenied("no"), ErrorCode.DENIED),
        (TokenExpired("render"), ErrorCode.TOKEN_EXPIRED),
        (RuntimeError("the database is away"), ErrorCode.INTERNAL),
        (TimeoutError(), ErrorCode.INTERNAL),
    ],
)
def test_answer_that_is_no_yes_is_a_refusal(error, code, monkeypatch):
    """With the code that says whether to come back."""

    async def test(world, monkeypatch):
        def answer(question):
            raise error

        client = await world.client()
        message = world.tell(channel="elsewhere")
        world.project.answer = answer
        word = await client.subscribe(token="?1")
        assert (word["type"], word["code"]) == ("error", code)
        assert word.get("renew") == (message.id if code == ErrorCode.TOKEN_EXPIRED else None)

    scenario(test)(monkeypatch)


@scenario
async def test_answer_is_nothing_worth_if_something_happened_meanwhile(world, monkeypatch):
    """The login has ended while the rule was asked."""
    client = await world.client()
    loop = asyncio.get_running_loop()

    def answer(question):
        told = asyncio.run_coroutine_threadsafe(tell(), loop)
        told.result(10)
        return world.project.grant("orders", "1", "L1", "authorizer")

    async def tell():
        world.tell("revoke", users=("1",), login="L1", is_final=True)

    world.project.answer = answer
    assert (await client.subscribe(token="?1"))["code"] == ErrorCode.DENIED


@scenario
async def test_question_is_forgotten_with_its_client(world, monkeypatch):
    """Nothing is left of one that was withdrawn, or whose connection is gone."""
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(question):
        loop.call_soon_threadsafe(answered.set)
        return world.project.grant("orders", "1", "L1", "authorizer")

    world.project.answer = answer
    client = await world.client()
    world.push.connections.receive(client.connection, '{"type":"subscribe","id":1,"channel":"orders","token":"?1"}')
    world.push.connections.receive(client.connection, '{"type":"unsubscribe","id":2,"channel":"orders"}')
    gone = await world.client()
    world.push.connections.receive(gone.connection, '{"type":"subscribe","id":1,"channel":"orders","token":"?1"}')
    world.push.connections.connection_lost(gone.connection)
    assert (await client.word())["type"] == "unsubscribed"
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert client.words() == []
    assert world.push._subscribing._asking == {}
    assert world.push.hub.channels() == set()


@scenario
async def test_revocation_that_comes_while_the_channel_is_opened_counts(world, monkeypatch):
    """Between the grant and the answer."""
    client = await world.client()
    read = world.feed.read

    async def slow_read(channel, since):
        world.tell(users=("1",))
        return await read(channel, since)

    monkeypatch.setattr(world.feed, "read", slow_read)
    word = await client.subscribe()
    assert (word["type"], word["code"]) == ("error", ErrorCode.REAUTHORIZE)
    assert world.push.hub.channels() == set()


class TestRenewal:
    @staticmethod
    def due(world):
        (session,) = world.push.hub
        (grant,) = session.grants.values()
        session.put_off(grant, until=0)
        world.rights.tick_session(session)

    def test_goes_on_after_a_yes(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            self.due(world)
            assert await client.word() == {"type": "renewed", "channel": "orders", "token": "1/L1"}
            assert world.project.asked[0][0].reason == "renewal"
            assert world.push.counts.renewals["renewed"] == 1

        scenario(test)(monkeypatch)

    @pytest.mark.parametrize(
        ("error", "code"),
        [(SubscriptionDenied("no"), ErrorCode.DENIED), (TokenExpired("too old"), ErrorCode.TOKEN_EXPIRED)],
    )
    def test_ends_after_a_no(self, error, code, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()

            def unasked(grant):
                raise error

            world.project.unasked = unasked
            self.due(world)
            word = await client.word()
            assert (word["type"], word["code"]) == ("unsubscribed", code)
            assert world.push.counts.renewals["ended"] == 1

        scenario(test)(monkeypatch)

    def test_is_tried_again_while_the_project_cannot_answer(self, monkeypatch):
        """And ends, for the time being, only when the hour is over."""

        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()

            def unasked(grant):
                raise RuntimeError("the database is away")

            world.project.unasked = unasked
            self.due(world)
            await until(lambda: world.push.counts.renewals["put_off"])
            assert client.words() == []
            monkeypatch.setattr(world.rights, "_clock", lambda: time.time() + 4000)
            self.due(world)
            assert (await client.word())["code"] == ErrorCode.REAUTHORIZE

        scenario(test)(monkeypatch)

    def test_of_what_ended_meanwhile_is_nothing(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            self.due(world)
            world.push.connections.receive(client.connection, '{"type":"unsubscribe","id":2,"channel":"orders"}')
            assert (await client.word())["type"] == "unsubscribed"
            await until(lambda: world.project.asked)
            await asyncio.sleep(0.05)
            assert client.words() == []

        scenario(test)(monkeypatch)

    def test_of_a_channel_that_became_public_needs_no_token(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            world.project.unasked = lambda grant: Grant(channel="orders", namespace="tests")
            self.due(world)
            await until(lambda: world.push.counts.renewals["renewed"])
            world.publish()
            assert [word.get("data") for word in client.words()] == [1]

        scenario(test)(monkeypatch)


class TestBlindness:
    def test_server_that_does_not_hear_for_long_stops_what_tokens_granted(self, monkeypatch):
        """Public channels go on. What it missed meanwhile counts when it hears again."""

        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            await client.subscribe("open", None)
            client.words()
            now = time.time()
            monkeypatch.setattr(world.rights, "_clock", lambda: now)
            world.feed.is_cut = True
            world.rights.tick()
            now += rights.BLIND_AFTER
            world.rights.tick()
            assert client.words() == []
            now += 0.1
            world.rights.tick()
            (word,) = client.words()
            assert (word["type"], word["channel"], word["code"]) == ("unsubscribed", "orders", ErrorCode.REAUTHORIZE)
            world.feed.is_cut = False
            world.rights.is_blind = True
            assert (await client.subscribe())["code"] == ErrorCode.REAUTHORIZE
            world.rights.tick()
            assert (await client.subscribe())["type"] == "subscribed"

        scenario(test)(monkeypatch)

    def test_short_break_costs_nothing(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            now = time.time()
            monkeypatch.setattr(world.rights, "_clock", lambda: now)
            for is_cut in (True, False, True):
                world.feed.is_cut = is_cut
                world.rights.tick()
                now += rights.BLIND_AFTER
            assert client.words() == []

        scenario(test)(monkeypatch)

    def test_server_that_cannot_read_the_past_lets_nobody_in_yet(self, monkeypatch):
        """It starts all the same, and tries on."""

        async def test(world, monkeypatch):
            monkeypatch.setattr(rights, "CATCH_UP_TIMEOUT", 0.01)
            world.feed.is_cut = True
            client = await world.client()
            assert (await client.subscribe())["code"] == ErrorCode.REAUTHORIZE
            assert (await client.subscribe("open", None))["type"] == "subscribed"
            world.feed.is_cut = False
            await until(lambda: not world.rights.is_blind)
            assert (await client.subscribe())["type"] == "subscribed"

        scenario(test)(monkeypatch)


class TestPast:
    def test_messages_from_before_the_start_count(self, monkeypatch):
        """They are read from the stream, however many there are."""

        async def test(world, monkeypatch):
            world.feed._streams = streams = world.feed._streams.__class__(now=0)
            monkeypatch.setattr(world.feed, "start", start(world.feed, streams))
            for number in range(250):
                world.tell("revoke", users=("1",), login=f"L{number}", is_final=True)
            client = await world.client()
            assert (await client.subscribe(token="1/L249"))["code"] == ErrorCode.DENIED
            assert (await client.subscribe(token="1/L250"))["type"] == "subscribed"
            assert world.rights.revocations.known_since == 0

        scenario(test)(monkeypatch)

    def test_memory_that_begins_later_is_trusted_from_there_on(self, monkeypatch):
        async def test(world, monkeypatch):
            begins = time.time() - 600
            world.feed._streams = streams = world.feed._streams.__class__(now=int(begins * 1000))
            monkeypatch.setattr(world.feed, "start", start(world.feed, streams))
            await world.push.start()
            assert begins <= world.rights.revocations.known_since < begins + 2 * rights.PRECISION

        scenario(test)(monkeypatch)

    def test_pages_that_must_all_be_fetched_are_fetched_one_by_one(self, monkeypatch):
        """Whom a single message concerns need not wait."""

        async def test(world, monkeypatch):
            clients = [await world.client() for _ in range(5)]
            world.tell(users=("1",), login="L1")
            assert "spread" not in await clients[0].subscribe()
            world.rights.revocations.forget_before(time.time() + 1)
            for client in clients[1:]:
                answer = await client.subscribe(token="2/L2")
                assert (answer["code"], answer["spread"]) == (ErrorCode.TOKEN_EXPIRED, 5 * 1000 // 50)

        scenario(test)(monkeypatch)

    def test_gap_makes_everybody_ask(self, monkeypatch):
        async def test(world, monkeypatch):
            client = await world.client()
            await client.subscribe()
            gap = Publication(id="", channel=CONTROL_CHANNEL, namespace="tests", stale="gap")
            await asyncio.sleep(0.002)
            world.push._fan_out.deliver([gap])
            assert client.words()[0]["code"] == ErrorCode.REAUTHORIZE

        scenario(test)(monkeypatch)

    def test_right_that_comes_back_at_once_reads_what_it_missed(self, monkeypatch):
        """A fresh page's token would open nothing from before; the right was there before, and never away for long."""

        async def test(world, monkeypatch):
            now = time.time()
            client = await world.client()
            old, new = now - 100, now + 100
            authorize = world.project.authorize
            floors = iter([old, new, new])

            def with_floor(channel, token):
                return replace(authorize(channel, token), history_from=next(floors))

            monkeypatch.setattr(world.push._subscribing, "_authorize", with_floor)
            answer = await client.subscribe()
            world.tell(users=("1",))
            world.publish()
            client.words()
            await asyncio.sleep(0)
            world.rights.revocations.__init__()  # as if the page had been asked
            word = {"type": "subscribe", "id": 2, "channel": "orders", "token": "1/L1", "since": answer["position"]}
            world.push.connections.receive(client.connection, json.dumps(word))
            again = await client.word()
            assert (again["recovered"], len(again["publications"])) == (True, 1)
            other = await world.client()
            world.push.connections.receive(other.connection, json.dumps(word))
            assert (await other.word())["recovered"] is False

        scenario(test)(monkeypatch)


def start(feed, streams):
    """Start a feed that remembers what was before."""

    async def start(deliver):
        feed._streams, feed._deliver = streams, deliver

    return start


@scenario
async def test_sweep_tells_what_it_found(world, monkeypatch):
    """Of the users who are connected, with the fingerprints of their grants."""
    client, other = await world.client(), await world.client()
    await client.subscribe()
    await other.subscribe(token="2/L2")
    found = ControlMessage(
        id="sweep", at=time.time(), kind="reauthorize", namespace="tests", users=("1",), fingerprints=("F2",)
    )
    world.project.changed = [found]
    world.rights._sweep_at = 0
    world.rights.tick()
    assert (await client.word())["code"] == ErrorCode.REAUTHORIZE
    assert world.project.connected == {("tests", "1"): {"F1"}, ("tests", "2"): {"F1"}}
    assert other.words() == []


@scenario
async def test_nothing_is_left_of_sessions_that_are_gone(world, monkeypatch):
    """Memory returns."""
    clients = [await world.client() for _ in range(3)]
    for client in clients:
        await client.subscribe()
    world.tell(users=("1",))
    assert len(world.rights._stopped) == 3
    for client in clients:
        world.push.connections.connection_lost(client.connection)
    assert not world.rights._stopped
    assert not world.rights._sessions_of


@scenario
async def test_many_are_stopped_in_several_turns(world, monkeypatch):
    """And are told to distribute what they do."""
    monkeypatch.setattr(rights, "SESSIONS_PER_TURN", 2)
    clients = [await world.client() for _ in range(5)]
    for client in clients:
        await client.subscribe()
    world.tell()
    assert [len(client.words()) for client in clients] == [1, 1, 0, 0, 0]
    words = [await client.word() for client in clients[2:]]
    assert {word["spread"] for word in words} == {5 * 1000 // 50}
