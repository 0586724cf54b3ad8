"""Live traffic made whole, whatever is lost, doubled, late or forgotten."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_jugpush.core import recovery
from django_jugpush.core.history import Replay, Streams
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.recovery import Follower, for_client

CHANNEL = "tests:news"
START = 1_763_924_990_000


def publication(number, position=None, **more):
    return Publication(
        id=str(number), channel="news", namespace="tests", data=msgspec.Raw(b"%d" % number), position=position, **more
    )


class Traffic(RuleBasedStateMachine):
    """
    A stream that keeps little, a connection that loses and doubles, and one who follows.

    What is delivered is compared with what was published: each publication once and in order, and where one is
    missing, the word that it is.
    """

    @initialize(kept=st.integers(0, 4), before=st.integers(0, 2))
    def begin(self, kept, before):
        self.kept = kept
        self.now = START
        self.published = []
        self.streams = Streams(now=self.now, default=(kept, 10.0))
        self.wire = []
        self.answer = None
        self.follower = Follower(CHANNEL)
        for _ in range(before):
            self.publish(lost=True)
        self.follower.start(self.streams.read(CHANNEL, None, now=self.now).position)
        self.expected = len(self.published)  # the number of what is to come next
        self.may_jump = False
        self.gaps = 0
        self.latest = None

    @rule(lost=st.booleans(), later=st.integers(0, 2))
    def publish(self, lost, later=0):
        """Something is published; it is heard, unless it is lost on the way."""
        self.now += later
        added = self.streams.add(publication(len(self.published)), now=self.now)
        self.published.append(added)
        if not lost:
            self.wire.append(added)

    @precondition(lambda self: self.wire)
    @rule()
    def hear(self):
        self.latest = self.wire.pop(0)
        self.deliver(self.follower.receive(self.latest))

    @precondition(lambda self: self.latest)
    @rule()
    def hear_twice(self):
        """What was heard last comes again."""
        self.deliver(self.follower.receive(self.latest))

    @rule()
    def interrupt(self):
        """The connection breaks and is made anew, or somebody doubts."""
        self.wire.clear()
        self.latest = self.answer = None
        self.follower.interrupt()

    @rule()
    def doubt(self):
        self.follower.interrupt()

    @precondition(lambda self: self.follower.is_behind and self.answer is None)
    @rule()
    def ask(self):
        """The stream is read; the answer is on its way."""
        self.answer = self.streams.read(CHANNEL, self.follower.ask(), now=self.now)

    @precondition(lambda self: self.answer is not None)
    @rule()
    def catch_up(self):
        answer, self.answer = self.answer, None
        self.deliver(self.follower.catch_up(answer))

    @rule(told=st.booleans())
    def forget(self, told):
        """The broker loses its memory. What was heard before that may still be on its way."""
        self.now += 1
        self.streams = Streams(now=self.now, default=(self.kept, 10.0))
        if told:
            self.follower.interrupt()

    def deliver(self, publications):
        for one in publications:
            if one.stale:
                assert one.stale == "gap"
                self.may_jump = True
                self.gaps += 1
                continue
            number = int(one.id)
            assert one == self.published[number]
            assert number >= self.expected, "it was there, or something after it"
            assert number == self.expected or self.may_jump, "something is missing"
            self.expected, self.may_jump = number + 1, False

    @invariant()
    def nothing_is_held_by_who_is_not_behind(self):
        if hasattr(self, "follower"):
            assert self.follower.is_behind or self.follower._held is None

    def teardown(self):
        """In the end everything has been delivered, or its absence has been told."""
        if not hasattr(self, "follower"):
            return
        while self.wire:
            self.hear()
        self.follower.interrupt()
        if self.answer:
            self.catch_up()
        for _ in range(5):
            if self.follower.is_behind:
                self.ask()
                self.catch_up()
        assert not self.follower.is_behind
        assert self.expected == len(self.published) or self.may_jump


Traffic.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestTraffic = Traffic.TestCase


def at(offset, ms=None, epoch="e"):
    return Position(epoch, offset, START + offset if ms is None else ms)


def numbers(publications):
    return [one.stale or int(one.id) for one in publications]


@pytest.fixture
def follower():
    follower = Follower(CHANNEL)
    follower.start(at(1))
    return follower


def heard(follower, *offsets):
    return numbers(one for offset in offsets for one in follower.receive(publication(offset, at(offset))))


def test_what_follows_is_let_through(follower):
    assert heard(follower, 2, 3, 3, 2, 4) == [2, 3, 4]
    assert (follower.position, follower.is_behind) == (at(4), False)


def test_what_was_in_no_stream_is_let_through(follower):
    assert numbers(follower.receive(publication(7))) == [7]
    follower.interrupt()
    assert numbers(follower.receive(publication(8))) == [8]


def test_what_does_not_follow_waits_for_the_stream(follower):
    assert heard(follower, 3) == []
    assert follower.is_behind and follower.heard == at(3)
    assert follower.ask() == at(1)
    assert heard(follower, 4) == []
    replay = Replay(is_complete=True, publications=[publication(2, at(2)), publication(3, at(3))], position=at(3))
    assert numbers(follower.catch_up(replay)) == [2, 3, 4]
    assert (follower.position, follower.is_behind) == (at(4), False)


def test_pages_are_taken_one_by_one(follower):
    heard(follower, 5)
    follower.ask()
    first = Replay(is_complete=True, publications=[publication(2, at(2))], position=at(2), more=True)
    assert numbers(follower.catch_up(first)) == [2]
    assert follower.is_behind and follower.ask() == at(2)
    assert numbers(follower.catch_up(Replay(is_complete=True, position=at(5)))) == []
    assert not follower.is_behind


def test_stream_that_came_back_older_is_not_mistaken(follower):
    """It gives its offsets again, later."""
    assert numbers(follower.receive(publication(1, at(1, START + 50)))) == []
    assert follower.is_behind


def test_next_offset_of_another_epoch_does_not_follow(follower):
    assert numbers(follower.receive(publication(2, at(2, epoch="other")))) == []
    assert follower.is_behind


def test_doubt_while_the_stream_is_read_has_it_read_again(follower):
    """The answer may be older."""
    follower.interrupt()
    follower.ask()
    follower.interrupt()
    assert numbers(follower.catch_up(Replay(is_complete=True, position=at(1)))) == []
    assert follower.is_behind
    follower.ask()
    assert numbers(follower.catch_up(Replay(is_complete=False, position=at(5)))) == ["gap"]
    assert (follower.position, follower.is_behind) == (at(5), False)


def test_who_knows_no_position_cannot_be_interrupted():
    follower = Follower(CHANNEL)
    follower.interrupt()
    assert not follower.is_behind
    assert heard(follower, 7) == [7]


def test_position_is_started_once(follower):
    follower.start(at(9))
    assert follower.position == at(1)


def test_newest_of_a_page_that_others_follow_is_not_given_to_who_had_no_right_to_it():
    """Only the newest of the channel is, where that keeps it."""
    publications = [publication(number, at(number), last=True) for number in (1, 2)]
    for more, expected in ((True, []), (False, [2])):
        replay = Replay(is_complete=True, publications=publications, position=at(2), more=more)
        given = for_client(replay, client="c" * 16, history_from=at(3).ms / 1000)
        assert (given.is_complete, numbers(given.publications)) == (False, expected)


@pytest.mark.parametrize("more", [{"data": msgspec.Raw(b"null")}, {"stale": "storm"}], ids=["taken away", "stale"])
def test_newest_that_is_not_kept_is_not_given_to_who_had_no_right_to_it(more):
    newest = msgspec.structs.replace(publication(1, at(1), last=True), **more)
    given = for_client(
        Replay(is_complete=True, publications=[newest], position=at(1)),
        client="c" * 16,
        history_from=at(2).ms / 1000,
    )
    assert (given.is_complete, list(given.publications)) == (False, [])


def test_who_is_cut_off_between_the_gap_and_the_newest_comes_back_for_it():
    """The newest may have to wait, for its channel has a pace."""
    streams = Streams(now=START, default=(0, 10.0))
    follower = Follower(CHANNEL)
    follower.start(streams.add(publication(1), now=START).position)
    for number in (2, 3):
        streams.add(publication(number, last=True), now=START + number)
    follower.interrupt()
    gap, newest = follower.catch_up(streams.read(CHANNEL, follower.ask(), now=START + 9))
    assert (gap.stale, newest.id, newest.position) == ("gap", "3", follower.position)
    for position, expected in ((gap.position, [3]), (newest.position, [])):
        assert numbers(streams.read(CHANNEL, position, now=START + 9).publications) == expected


def test_word_that_something_is_missing_is_not_held_back_by_a_rate():
    """Of what lies between, only that; live it is the same."""
    publications = [publication(number, at(number), max_rate=5) for number in (1, 2, 3, 4)]
    publications[1] = publication(2, at(2), max_rate=5, stale="storm")
    replay = Replay(is_complete=True, publications=publications, position=at(4))
    assert numbers(for_client(replay, client="c" * 16, history_from=None).publications) == ["storm", 4]


def test_flood_while_the_stream_is_read_is_read_as_well(follower, monkeypatch):
    """No memory is filled with what the stream has anyway."""
    monkeypatch.setattr(recovery, "MAX_HELD", 3)
    heard(follower, 3)
    follower.ask()
    heard(follower, 4, 5, 6, 7)
    assert len(follower._held) == 1
    replay = Replay(is_complete=True, publications=[publication(2, at(2)), publication(3, at(3))], position=at(3))
    assert numbers(follower.catch_up(replay)) == [2, 3]
    assert follower.is_behind and follower.ask() == at(3)
    rest = [publication(number, at(number)) for number in range(4, 8)]
    assert numbers(follower.catch_up(Replay(is_complete=True, publications=rest, position=at(7)))) == [4, 5, 6, 7]
    assert not follower.is_behind
