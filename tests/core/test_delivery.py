"""
The core as a whole: a stream, live traffic that loses and repeats, a follower, the pace, the hub, and clients that come
and go.

Publications are numbered. :class:`Past` says what of them a broker must still have, :class:`Client` what each client
must have seen: what docs/topics/delivery.rst promises.
"""

from __future__ import annotations

import json
from typing import NamedTuple
from unittest import mock

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_jugpush.core import history as core_history
from django_jugpush.core.grants import Grant
from django_jugpush.core.history import Streams
from django_jugpush.core.hub import Hub
from django_jugpush.core.pacing import Pacing
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.recovery import Follower, for_client
from django_jugpush.core.session import Session

CHANNEL = "shop:news"

which = st.integers(0, 2)
"""One of the clients."""


class Place(NamedTuple):
    """What a position means here; a later one is greater."""

    era: int
    """So many times the broker had lost everything."""

    number: int
    """Of the newest publication of before."""


class Past:
    """What was published, and what of it is promised to be there."""

    def __init__(self, *, history, last, max_rate):
        self.history, self.last, self.max_rate = history, last, max_rate
        self.published = []
        self.places = {}
        self.era = 0
        self._kept = []
        self._first = []

    @property
    def place(self):
        return Place(self.era, len(self.published))

    def place_of(self, position):
        """Return what a position means, also one at which nobody ever stood."""
        epoch, offset, _ = Position.parse(position)
        return Place(int(epoch), self._first[int(epoch)] + offset) if epoch else self.places[position]

    def __getitem__(self, number):
        return self.published[number - 1]

    def add(self, publication):
        self._expire(publication.position.ms)
        self.published.append(publication)
        self.places[str(publication.position)] = self.place
        length, _ = self.history
        self._kept = [*self._kept, self.place.number][-length:] if length else []

    def begin(self, now):
        """Take note of an era."""
        self._kept = []
        self._began = now
        self._first.append(self.place.number)

    def forget(self, now):
        self.era += 1
        self.begin(now)

    def after(self, since):
        """Return the numbers of what came after a position; None if the broker has lost that."""
        numbers = range(self._first[-1] + 1, self.place.number + 1)
        if since.is_moment:
            is_known = since.ms >= self._began
            return [number for number in numbers if self[number].position.ms >= since.ms] if is_known else None
        era, number = self.places.get(str(since), (None, 0))
        return [one for one in numbers if one > number] if era == self.era else None

    def has_all(self, numbers, now):
        """Tell whether they must still be there."""
        self._expire(now)
        return set(numbers) <= set(self._kept)

    @property
    def newest_kept(self):
        """The number of what each new subscriber is given; None if there is nothing."""
        number = self.place.number
        is_kept = self.last and number > self._first[-1] and bytes(self[number].data) != b"null"
        return number if is_kept else None

    def _expire(self, now):
        _, seconds = self.history
        if self._kept and now - self[self._kept[-1]].position.ms >= seconds * 1000:
            self._kept = []


class Client:
    """What a browser knows, over all its connections; and what it must and must not be told."""

    def __init__(self, past, id):
        self.past = past
        self.id = id
        self.position = None
        self.place = None
        """Up to where it was given what is its own, or told that it is missing; None before its first answer."""
        self.told_of = 0
        """The era of which it was told live."""
        self.newest = 0
        """The highest number that it was given."""
        self.now = 0
        self.paced_at = None
        self.is_early = False
        self.hang_up()

    def hang_up(self):
        self.session = self.request = self.replay = None

    @property
    def listens(self):
        return self.session and self.session.grants

    def misses(self, number):
        """Tell whether something is missing, if it is to have everything up to a number."""
        first = max(self.place.number + 1, number if self.past.max_rate else 0)
        return any(self.id not in self.past[one].exclude for one in range(first, number + 1))

    def take(self, frame):
        place = self.past.place_of(frame["position"])
        if frame.get("type") == "stale":
            # Of a stream that was lost it may have been told already, in an answer; and where the newest follows, that
            # may be all that it missed.
            is_due = place > self.place or place.era > self.told_of or (self.past.last and place == self.place)
            assert is_due, "told of a gap where nothing is missing"
            self.told_of = place.era
        else:
            publication = self.past[place.number]
            assert frame["data"] == msgspec.json.decode(publication.data)
            assert self.id not in publication.exclude, "given what excludes it"
            assert place.number > self.newest, "doubled or out of order"
            assert self.past.max_rate or not self.misses(place.number - 1), "something is missing"
            self.newest = place.number
        self.place = max(self.place, place)
        self.position = frame["position"]

    def read(self, replay, now):
        """Take note of what is about to be answered, and of what must be in it."""
        self.replay = replay
        self.newest_kept = self.past.newest_kept
        since = self.request.since
        missed = None if since is None else self.past.after(since)
        self.must_recover = (
            missed is not None
            and self.past.has_all(missed, now)
            and all(self.may_read(self.past[number]) for number in missed)
        )

    def may_read(self, publication):
        is_newest_kept = self.newest_kept and publication is self.past[self.newest_kept]
        return is_newest_kept or self.history_from is None or publication.position.ms >= round(self.history_from * 1000)

    def answered(self, answer):
        place = self.past.places[answer["position"]]
        if not answer.get("recovered"):
            assert not self.must_recover, "told of a gap though all that it missed is there"
            self.place = place
        frames = answer.get("publications", ())
        assert len(frames) <= 1 or not self.past.max_rate, "the newest alone would do"
        for frame in frames:
            assert self.may_read(self.past[self.past.places[frame["position"]].number]), "given what is not its to read"
            self.take(frame)
        assert not self.misses(place.number), "recovered, and yet something is missing"
        self.place, self.position = place, answer["position"]
        if not answer.get("more") and self.newest_kept and self.id not in self.past[self.newest_kept].exclude:
            assert self.newest >= self.newest_kept, "the newest was not given"

    # As the hub's connection

    is_busy = False

    @staticmethod
    def wire(message):
        return message

    def send(self, message):
        frame = json.loads(message)
        self.keep_pace(frame)
        self.take(frame)

    def keep_pace(self, frame):
        """Look at the time since the one before; only what the word that something is missing pushes on is excused."""
        if "type" in frame:
            self.paced_at, self.is_early = None, False
        elif self.past.max_rate:
            assert not self.is_early, "too soon"
            self.is_early = self.paced_at is not None and self.now - self.paced_at < 1000 / self.past.max_rate
            self.paced_at = self.now

    def close(self, code, reason):
        raise AssertionError(f"nobody is sent away here: {code} {reason}")


class World(RuleBasedStateMachine):
    """One channel, one push server, and what can happen between them."""

    def __init__(self):
        super().__init__()
        self.now = 1_000_000
        self.in_flight = []
        self.follower = Follower(CHANNEL)
        self.reading = None
        self.pacing = Pacing()
        self.heard = None
        self.hub = Hub(self)
        self.everybody = []

    @initialize(
        history=st.tuples(st.sampled_from([0, 1, 2, 4, 9]), st.sampled_from([0, 1, 60])),
        last=st.booleans(),
        max_rate=st.sampled_from([None, 0.5, 2]),
    )
    def declare(self, history, last, max_rate):
        self.past = Past(history=history, last=last, max_rate=max_rate)
        self.past.begin(self.now)
        self.streams = self.make_streams()

    def make_streams(self):
        return Streams(now=self.now, make_epoch=lambda: str(self.past.era))

    def read_stream(self, since):
        replay = self.streams.read(CHANNEL, since, now=self.now)
        self.past.places.setdefault(str(replay.position), self.past.place)  # of a moment
        return replay

    # The hub's feed: one channel, always heard

    servers = 1

    def listen(self, channels):
        """Be told of a first listener."""

    def forget(self, channels):
        """Be told that the last has gone."""

    # What happens to the stream

    @rule(ms=st.sampled_from([1, 300, 600, 30_000, 61_000]))
    def wait(self, ms):
        """Let time pass, and what waits for its time go out."""
        end = self.now + ms
        while (due := self.pacing.due) is not None and round(due * 1000) <= end:
            self.set_clock(round(due * 1000))
            self.publish_here(self.pacing.tick(due))
        self.set_clock(end)

    def set_clock(self, ms):
        self.now = ms
        for client in self.everybody:
            client.now = ms

    @rule(
        pause=st.sampled_from([0, 1, 600]),
        count=st.integers(1, 3),
        excluded=st.none() | which,
        clears=st.booleans(),
        is_heard=st.booleans(),
    )
    def publish(self, pause, count, excluded, clears, is_heard):
        """In one batch; without data it takes away what is kept for new subscribers."""
        if pause:
            self.wait(pause)
        for _ in range(count):
            number = self.past.place.number + 1
            publication = Publication(
                id=str(number),
                channel="news",
                namespace="shop",
                data=msgspec.Raw(b"null" if clears else b"%d" % number),
                exclude=() if excluded is None else tuple(one.id for one in self.everybody[excluded : excluded + 1]),
                history=self.past.history,
                last=self.past.last,
                max_rate=self.past.max_rate,
            )
            added = self.streams.add(publication, now=self.now)
            self.past.add(added)
            self.in_flight.append(added)
        if is_heard:
            self.hear(len(self.in_flight))

    @precondition(lambda self: self.past.era < 2)
    @rule()
    def flush(self):
        """All is forgotten, as in a Redis without its data; what was on its way may still come."""
        self.wait(1)
        self.past.forget(self.now)
        self.streams = self.make_streams()

    # What happens on the way

    @rule(count=st.integers(1, 5))
    def hear(self, count):
        """A run of publications arrives in one go."""
        run, self.in_flight[:count] = self.in_flight[:count], []
        self.deliver([one for publication in run for one in self.follower.receive(publication)])

    @rule()
    def repeat(self):
        if self.in_flight:
            self.deliver(self.follower.receive(self.in_flight[0]))

    @rule(is_noticed=st.booleans())
    def lose(self, is_noticed):
        """What was on its way is lost. Where no connection broke, what follows shows it, or the sweep."""
        self.in_flight.clear()
        if is_noticed:
            self.reading = None
            self.follower.interrupt()

    @precondition(lambda self: self.follower.is_behind)
    @rule()
    def read_on(self):
        """Ask for what the stream has, or take what was answered."""
        if self.reading is None:
            since = self.follower.ask()
            missed = self.past.after(since)
            must_be_complete = missed is not None and self.past.has_all(missed, self.now)
            self.reading = self.read_stream(since)
            assert self.reading.is_complete or not must_be_complete
        else:
            replay, self.reading = self.reading, None
            self.deliver(self.follower.catch_up(replay))

    def deliver(self, publications):
        for publication in publications:
            self.heard = self.past.place_of(str(publication.position)).number, self.now
            self.publish_here(self.pacing.offer(publication, now=self.now / 1000))

    def publish_here(self, publications):
        for publication in publications:
            self.hub.publish(publication)

    @invariant()
    def what_was_heard_has_come(self):
        """At once, or after its interval."""
        if self.heard is None:
            return
        number, at = self.heard
        interval = 1000 / self.past.max_rate if self.past.max_rate else 0
        for client in self.everybody:
            if client.listens:
                assert not client.is_early, "too soon"
                assert self.now < at + interval or not client.misses(number), "what was heard has not come"

    # What happens to clients

    @precondition(lambda self: len(self.everybody) < 3)
    @rule(has_page=st.booleans())
    def come(self, has_page):
        """With a page that was rendered just then, before anything else happens, or with nothing."""
        self.wait(1)
        client = Client(self.past, f"client{self.now:010}")
        client.now = self.now
        if has_page:
            client.place, client.position = self.past.place, str(Position.moment(self.now))
        self.everybody.append(client)

    @precondition(lambda self: self.everybody)
    @rule(which=which, right_begins=st.booleans(), steps=st.integers(1, 4))
    def go_on(self, which, right_begins, steps):
        """Let a client go some way, from where it is to where it listens."""
        client = self.everybody[which % len(self.everybody)]
        for _ in range(steps):
            self.step(client, right_begins)

    def step(self, client, right_begins=False):
        if client.listens:
            return
        if client.request is None:
            self.ask(client, right_begins)
        elif client.replay is None:
            client.read(self.read_stream(client.request.since), self.now)
            self.follower.start(client.replay.position)
        else:
            self.answer(client)

    def ask(self, client, right_begins):
        """Subscribe, by a right that begins just then or long ago; from then on what is heard is kept."""
        if client.session is None:
            client.session = Session(client=client.id)
            client.session.connect("1", now=0, place=0.5)
            client.session.data_to_send()
            self.hub.join(client.session, client)
        client.history_from = self.now / 1000 if right_begins else None
        word = {"type": "subscribe", "channel": "news"}
        if client.position is not None:
            word["since"] = client.position
        client.session.receive_data(json.dumps(word), now=0)
        (client.request,) = client.session.events_received()
        self.hub.reserve(client.session, CHANNEL)

    def answer(self, client):
        replay = for_client(client.replay, client=client.id, history_from=client.history_from)
        has_started = client.session.accept(
            client.request.request,
            Grant(channel="news", namespace="shop", history_from=client.history_from),
            recovered=replay.is_complete and client.request.since is not None,
            publications=[self.hub.encode(one) for one in replay.publications],
            position=replay.position,
            more=replay.more,
        )
        client.request = client.replay = None
        (reply,) = client.session.data_to_send()
        client.answered(json.loads(msgspec.json.encode(reply)))
        client.paced_at = None
        if has_started:
            self.hub.subscribe(client.session, CHANNEL, has=replay.position)
        else:
            self.hub.unsubscribe(client.session, CHANNEL)
        client.paced_at = None  # the pace is the channel's, whenever somebody comes
        client.session.events_received()

    @precondition(lambda self: self.everybody)
    @rule(which=which, comes_back=st.booleans())
    def cut(self, which, comes_back):
        client = self.everybody[which % len(self.everybody)]
        if client.session:
            self.hub.leave(client.session)
            client.hang_up()
        if not comes_back:
            self.everybody.remove(client)

    # In the end

    def teardown(self):
        """Whatever has happened: let everything arrive, and see that nobody misses anything."""
        if not hasattr(self, "past"):
            return
        self.hear(len(self.in_flight))
        for client in self.everybody:
            while not client.listens:
                self.step(client)
        while self.reading:
            self.read_on()
        self.follower.interrupt()
        while self.follower.is_behind:
            self.read_on()
        self.wait(2000)
        self.what_was_heard_has_come()
        number, newest_kept = self.past.place.number, self.past.newest_kept
        for client in self.everybody:
            assert not number or not client.misses(number), "something is missing at the end, and nobody was told"
            if newest_kept and client.id not in self.past[newest_kept].exclude:
                assert client.newest >= newest_kept, "the newest was not given to who was told of a gap"


class TestWorld(World.TestCase):
    settings = settings(max_examples=300, stateful_step_count=50, deadline=None)

    def setUp(self):
        # So that pages are turned.
        patch = mock.patch.object(core_history, "PAGE_LENGTH", 2)
        patch.start()
        self.addCleanup(patch.stop)
