"""Streams in memory: whatever they answer is the truth, and what they promise to keep is there."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jugpush.core import history
from django_jugpush.core.history import Replay, Streams, with_last
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication

START = 1_763_924_990_000


def publication(number, channel="news", data=None, **more):
    data = b"%d" % number if data is None else data
    return Publication(id=str(number), channel=channel, namespace="tests", data=msgspec.Raw(data), **more)


def numbers(replay):
    return [int(one.id) for one in replay.publications]


def read_all(streams, channel, since, now):
    """Return all pages as one answer."""
    replay = streams.read(channel, since, now=now)
    publications = [*replay.publications]
    while replay.more:
        replay = streams.read(channel, replay.position, now=now)
        assert replay.is_complete and replay.publications
        publications += replay.publications
    return Replay(is_complete=replay.is_complete, publications=publications, position=replay.position)


@st.composite
def pasts(draw):
    """Return streams with a past: what was published to each channel, in order, and the time."""
    streams = Streams(
        now=START,
        default=(draw(st.integers(0, 5)), draw(st.sampled_from([0.0, 0.02, 10.0]))),
        max_bytes=draw(st.sampled_from([1_500, 5_000, 20_000, 10**6])),
        make_epoch=map("e{}".format, itertools.count()).__next__,
    )
    past, now, names = {"tests:a": [], "tests:b": [], "tests:c": []}, START, itertools.count()
    for channel, pause, kept, last, data in draw(
        st.lists(
            st.tuples(
                st.sampled_from("abc"),
                st.integers(0, 15),
                st.none() | st.tuples(st.integers(0, 8), st.sampled_from([0.0, 0.02, 10.0])),
                st.booleans(),
                st.sampled_from([b"1", b"null", b'"%s"' % (b"x" * 1000)]),
            ),
            max_size=40,
        )
    ):
        now += pause
        added = streams.add(publication(next(names), channel, data, history=kept, last=last), now=now)
        past[added.full_name].append(added)
    return streams, past, now + draw(st.integers(0, 15))


def sinces(past, now):
    """Return positions of all kinds: those of a past, near ones that are not, moments, and none."""
    known = [one.position for channel in past.values() for one in channel]
    near = [one._replace(offset=max(0, one.offset + 1), ms=one.ms + 1) for one in known]
    others = [Position("other", one.offset, one.ms) for one in known]
    moments = [Position.moment(ms) for ms in range(START - 2, now + 2, 3)]
    return st.none() | st.sampled_from([Position("other", 1, START), *known, *near, *others, *moments])


def _after(published, since):
    """Return what was published after a position; None if there is no such position."""
    if since is None or since.is_moment:
        return [one for one in published if since and one.position.ms >= since.ms]
    positions = [one.position for one in published]
    return published[positions.index(since) + 1 :] if since in positions else None


@given(pasts(), st.data())
def test_complete_answer_is_the_whole_truth(made, data):
    """All that was published since, in order and once; and the end is where the stream ends."""
    streams, past, now = made
    for channel, published in past.items():
        since = data.draw(sinces(past, now))
        replay = read_all(streams, channel, since, now)
        after = _after(published, since)
        kept = [one for one in published[-1:] if one.last and bytes(one.data) != b"null"]
        if not replay.is_complete or since is None or (since.is_moment and not after):
            assert replay.publications in ([], kept)
        else:
            assert replay.publications == after
        if published and not replay.position.is_moment:
            assert replay.position == published[-1].position


@given(pasts(), st.data())
def test_position_of_another_past_is_never_recovered(made, data):
    """However near it is to a true one."""
    streams, past, now = made
    for channel, published in past.items():
        since = data.draw(sinces(past, now))
        if since and not since.is_moment and since not in [one.position for one in published]:
            assert not streams.read(channel, since, now=now).is_complete


@given(st.integers(0, 8), st.integers(1, 30))
def test_who_missed_no_more_than_is_kept_gets_it(length, number):
    streams = Streams(now=START, default=(length, 10.0))
    positions = [streams.add(publication(count), now=START + count).position for count in range(number)]
    for missed, position in enumerate(reversed(positions)):
        for since in (position, Position.moment(position.ms + 1)):
            assert streams.read("tests:news", since, now=START + number).is_complete is (missed <= length)


def test_who_missed_only_what_came_after_a_long_silence_gets_it():
    """What was forgotten meanwhile it had."""
    streams = Streams(now=START, default=(10, 1.0))
    before, newest = (streams.add(publication(count), now=START).position for count in range(2))
    streams.add(publication(2), now=START + 5000)
    for since in (newest, Position.moment(START + 1)):
        replay = streams.read("tests:news", since, now=START + 5001)
        assert replay.is_complete and numbers(replay) == [2]
    for since in (before, Position.moment(START)):
        assert not streams.read("tests:news", since, now=START + 5001).is_complete


@pytest.mark.parametrize(("later", "is_there"), [(999, True), (1000, False)])
def test_they_are_kept_as_long_as_was_asked_for(later, is_there):
    streams = Streams(now=START, default=(10, 1.0))
    first, _ = (streams.add(publication(count), now=START).position for count in range(2))
    assert streams.read("tests:news", first, now=START + later).is_complete is is_there


@given(pasts())
def test_memory_is_bounded(made):
    """As it counts it, to the byte."""
    streams, past, now = made
    counted = sum(stream.bytes for stream in streams._streams.values())
    assert streams.bytes == counted
    for stream in streams._streams.values():
        kept = [*stream.entries, *([stream.last] if stream.last else [])]
        assert stream.bytes == history._ENTRY_BYTES + sum(len(bytes(one.data)) + history._ENTRY_BYTES for one in kept)
        assert not stream.entries or stream.bytes <= streams._max_bytes // history.LARGEST_PART
    assert streams.bytes <= streams._max_bytes


def test_channel_that_was_crowded_out_is_not_recovered():
    """Not from a moment at which it may have had something either."""
    streams = Streams(now=START, max_bytes=4 * 1000)
    first = streams.add(publication(1), now=START + 5).position
    others = [streams.add(publication(2, f"other{number}"), now=START + 9) for number in range(4)]
    assert len(streams) == 4
    assert not streams.read("tests:news", first, now=START + 10).is_complete
    assert not streams.read("tests:news", Position.moment(START + 5), now=START + 10).is_complete
    assert streams.read("tests:news", Position.moment(START + 6), now=START + 10).is_complete
    for other in others:
        assert streams.read(other.full_name, other.position, now=START + 10).is_complete


def test_busiest_channel_crowds_out_its_own_past():
    """And not that of others; what is left of its own is told as it is."""
    streams = Streams(now=START, max_bytes=4 * 2000)
    quiet = streams.add(publication(0, "quiet"), now=START).position
    positions = [streams.add(publication(number), now=START + number).position for number in range(1, 90)]
    for since in (None, Position.moment(START)):
        assert streams.read("tests:quiet", since, now=START + 99).is_complete
    assert streams.read("tests:quiet", quiet, now=START + 99).is_complete
    assert numbers(streams.read("tests:news", positions[-4], now=START + 99)) == [87, 88, 89]
    assert numbers(streams.read("tests:news", Position.moment(START + 87), now=START + 99)) == [87, 88, 89]
    assert not streams.read("tests:news", positions[-5], now=START + 99).is_complete
    assert not streams.read("tests:news", Position.moment(START + 86), now=START + 99).is_complete
    assert streams.bytes <= 4 * 2000


def test_publication_that_is_larger_than_all_memory_is_not_kept():
    """Not as the newest either; nobody is told that nothing came."""
    streams = Streams(now=START, max_bytes=2000)
    streams.add(publication(1, data=b'"%s"' % (b"x" * 3000), last=True), now=START + 5)
    assert streams.bytes == len(streams) == 0
    assert not streams.read("tests:news", Position.moment(START + 5), now=START + 6).is_complete


def test_who_listens_again_uses_a_channel_as_who_publishes_does():
    streams = Streams(now=START, max_bytes=4 * 1000)
    for name in ("news", "a", "b", "c"):
        streams.add(publication(1, name, b'"%s"' % (b"x" * 190)), now=START)
    streams.read("tests:news", None, now=START)
    streams.add(publication(2, "d", b'"%s"' % (b"x" * 190)), now=START)
    assert list(streams._streams) == ["tests:b", "tests:c", "tests:news", "tests:d"]


def test_millisecond_of_which_the_first_part_is_forgotten_is_not_whole():
    streams = Streams(now=START, default=(1, 10.0))
    for number in range(2):
        streams.add(publication(number), now=START + 5)
    assert not streams.read("tests:news", Position.moment(START + 5), now=START + 5).is_complete
    assert streams.read("tests:news", Position.moment(START + 6), now=START + 6).is_complete


def test_clock_that_goes_back_gives_no_earlier_times():
    streams = Streams(now=START)
    assert [streams.add(publication(1), now=START + ms).position.ms - START for ms in (9, 5, 10)] == [9, 9, 10]


@given(st.integers(0, 9), st.integers(0, 3))
def test_again_adds_nothing_twice(number_added, kept):
    """However little of what was added is kept."""
    streams = Streams(now=START, default=(kept, 60))
    batch = [publication(number) for number in range(9)]
    for one in batch[:number_added]:
        streams.add(one, now=START)
    assert streams.without_known(batch) == batch[number_added:]
    assert streams.without_known([publication(10, "other"), *batch]) == [
        publication(10, "other"),
        *batch[number_added:],
    ]


@pytest.mark.parametrize(
    ("replay", "since", "expected"),
    [
        (Replay(is_complete=True, position=None), None, [9]),
        (Replay(is_complete=True, position=None), Position.moment(1), [9]),
        (Replay(is_complete=True, position=None), Position("e", 1, 1), []),
        (Replay(is_complete=False, position=None), Position("e", 1, 1), [9]),
        (Replay(is_complete=True, position=None, more=True), Position.moment(1), []),
    ],
    ids=["comes", "rendered", "has it", "lost", "gets it on a later page"],
)
def test_last_is_for_who_cannot_have_it(replay, since, expected):
    last = publication(9).at(Position("e", 9, 9))
    assert numbers(with_last(replay, since, last)) == expected
    assert with_last(replay, since, None) == replay
