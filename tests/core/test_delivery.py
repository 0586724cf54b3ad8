"""
The core as a whole: a stream, live traffic that loses and repeats, a follower, the hub and clients that come and go.

Each publication has a number. What a client is given must be the next one, unless it was told of a gap; and when all
has calmed down, who listens has everything.
"""

from __future__ import annotations

import json

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from django_jugpush.core.grants import Grant
from django_jugpush.core.history import Streams
from django_jugpush.core.hub import Hub
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.recovery import Follower, for_client
from django_jugpush.core.session import Session

CHANNEL = "shop:news"
GRANT = Grant(channel="news", namespace="shop")


class Client:
    """What a browser knows, over all its connections."""

    def __init__(self, world):
        self.world = world
        self.position = None
        self.expects = None
        """The number of the next publication; None while it may be any, as a gap has been told of."""
        self.session = None
        self.request = None
        self.replay = None

    def take(self, frame):
        """Be told something, as it comes live."""
        if frame.get("type") == "stale":
            self.expects = None
        else:
            assert self.expects in (None, frame["data"]), "something is missing, doubled or out of order"
            self.expects = frame["data"] + 1
        self.position = frame["position"]

    def answered(self, answer):
        if answer.get("recovered") is False:
            self.expects = None
        elif "recovered" not in answer:
            self.expects = self.world.next_after(answer["position"])
        for frame in answer.get("publications", ()):
            self.take(frame)
        self.position = answer["position"]

    # As the hub's connection

    @staticmethod
    def wire(message):
        return message

    def send(self, frame):
        self.take(json.loads(frame))

    def close(self, code, reason):
        raise AssertionError(f"nobody is sent away here: {code} {reason}")


class World(RuleBasedStateMachine):
    """One channel, one push server, and what can happen between them."""

    clients = Bundle("clients")

    def __init__(self):
        super().__init__()
        self.now = 1_000_000
        self.epochs = 0
        self.history = (4, 60)
        self.streams = self.make_streams()
        self.number = 0
        self.numbers = {}
        self.in_flight = []
        self.follower = Follower(CHANNEL)
        self.reading = None
        self.hub = Hub(self)
        self.everybody = []

    def make_streams(self):
        def make_epoch():
            self.epochs += 1
            return f"epoch{self.epochs}"

        return Streams(now=self.now, default=self.history, make_epoch=make_epoch)

    def next_after(self, position):
        """Return the number of what follows upon a position."""
        return self.numbers[position] + 1

    # The hub's feed: one channel, always heard

    servers = 1

    def listen(self, channels):
        """Be told of a first listener."""

    def forget(self, channels):
        """Be told that the last has gone."""

    # What happens to the stream

    @rule(pause=st.sampled_from([0, 1, 1, 1, 30_000, 61_000]))
    def publish(self, pause):
        self.now += pause
        self.number += 1
        publication = Publication(id=str(self.number), channel="news", namespace="shop", data=number(self.number))
        added = self.streams.add(publication, now=self.now)
        self.numbers[str(added.position)] = self.number
        self.in_flight.append(added)

    @rule()
    def flush(self):
        """All is forgotten, as in a Redis without its data; what was on its way may still come."""
        self.now += 1
        self.streams = self.make_streams()

    # What happens on the way

    @rule(count=st.integers(1, 3))
    def hear(self, count):
        for _ in range(min(count, len(self.in_flight))):
            self.deliver(self.follower.receive(self.in_flight.pop(0)))

    @rule()
    def repeat(self):
        if self.in_flight:
            self.deliver(self.follower.receive(self.in_flight[0]))

    @rule()
    def lose(self):
        """A connection breaks: what was on its way is lost, and the feed knows that something may have been."""
        self.in_flight.clear()
        self.reading = None
        self.follower.interrupt()

    @rule()
    def lose_unnoticed(self):
        """What follows shows it, or the sweep."""
        if self.in_flight:
            self.in_flight.pop(0)

    @rule()
    def begin_to_read(self):
        if self.follower.is_behind and self.reading is None:
            self.reading = self.streams.read(CHANNEL, self.follower.ask(), now=self.now)

    @rule()
    def end_reading(self):
        if self.reading is not None:
            replay, self.reading = self.reading, None
            self.deliver(self.follower.catch_up(replay))

    def deliver(self, publications):
        for publication in publications:
            self.hub.publish(publication)

    # What happens to clients

    @rule(target=clients)
    def come(self):
        client = Client(self)
        self.everybody.append(client)
        return client

    @rule(target=clients)
    def come_with_a_page(self):
        """That was rendered just then, before anything else happens."""
        client = Client(self)
        self.now += 1
        client.position, client.expects = str(Position.moment(self.now)), self.number + 1
        self.everybody.append(client)
        return client

    @rule(client=clients)
    def ask(self, client):
        """Subscribe; from then on what is heard is kept."""
        if client.session is None:
            session = Session(client="c" * 16)
            session.connect("1", now=0, place=0.5)
            session.data_to_send()
            self.hub.join(session, client)
            client.session = session
        if client.request is None and not client.session.grants:
            word = {"type": "subscribe", "channel": "news"}
            if client.position is not None:
                word["since"] = client.position
            client.session.receive_data(json.dumps(word), now=0)
            (client.request,) = client.session.events_received()
            self.hub.reserve(client.session, CHANNEL)

    @rule(client=clients)
    def read(self, client):
        if client.request and client.replay is None:
            client.replay = self.streams.read(CHANNEL, client.request.since, now=self.now)
            self.follower.start(client.replay.position)
            self.numbers.setdefault(str(client.replay.position), self.number)  # of a moment

    @rule(client=clients)
    def answer(self, client):
        if client.replay is None:
            return
        replay = for_client(client.replay, client="c" * 16, history_from=None)
        has_started = client.session.accept(
            client.request.request,
            GRANT,
            recovered=replay.is_complete and client.request.since is not None,
            publications=[self.hub.encode(one) for one in replay.publications],
            position=replay.position,
            more=replay.more,
        )
        client.request = client.replay = None
        (reply,) = client.session.data_to_send()
        client.answered(json.loads(msgspec.json.encode(reply)))
        if has_started:
            self.hub.subscribe(client.session, CHANNEL, has=replay.position)
        else:
            self.hub.unsubscribe(client.session, CHANNEL)
        client.session.events_received()

    @rule(client=clients)
    def cut(self, client):
        if client.session:
            self.hub.leave(client.session)
            client.session = client.request = client.replay = None

    @rule(client=consumes(clients))
    def go(self, client):
        self.cut(client)
        self.everybody.remove(client)

    # In the end

    def teardown(self):
        """Whatever has happened: let everything arrive, and see that nobody misses anything."""
        self.hear(len(self.in_flight))
        for client in self.everybody:
            self.ask(client)
        for client in self.everybody:
            while client.session and not client.session.grants:
                self.ask(client)
                self.read(client)
                self.answer(client)
        self.end_reading()
        self.follower.interrupt()
        while self.follower.is_behind:
            self.begin_to_read()
            self.end_reading()
        for client in self.everybody:
            assert client.expects in (None, self.number + 1), "something is missing at the end, and nobody was told"


def number(value):
    return msgspec.Raw(b"%d" % value)


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
