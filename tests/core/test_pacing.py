"""Channels with a ``max_rate``."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from django_jugpush.core.pacing import Pacing
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication


def publication(number, *, channel="stats", max_rate=2.0, **more):
    more = {"position": Position("x", number, number)} | more
    return Publication(id="1", channel=channel, data=msgspec.Raw(b"%d" % number), max_rate=max_rate, **more)


def data(publications):
    return [int(bytes(one.data)) for one in publications]


def test_first_goes_out_at_once_and_then_the_newest_at_each_interval():
    """And after an interval in which nothing came, the next goes out at once again."""
    pacing = Pacing()
    assert data(pacing.offer(publication(1), now=10)) == [1]
    for number in (2, 3, 4):
        assert pacing.offer(publication(number), now=10.1) == []
    assert pacing.due == 10.5
    assert pacing.tick(10.4) == []
    assert data(pacing.tick(10.5)) == [4]
    assert pacing.due == 11
    assert pacing.tick(11) == []
    assert pacing.due is None and len(pacing) == 0
    assert data(pacing.offer(publication(5), now=11)) == [5]


def test_channels_have_their_own_pace():
    pacing = Pacing()
    pacing.offer(publication(1, max_rate=0.1), now=0)
    pacing.offer(publication(1, channel="other", max_rate=10), now=0)
    assert pacing.offer(publication(2, channel="other", max_rate=10), now=0.05) == []
    assert pacing.due == 0.1
    assert data(pacing.tick(0.1)) == [2]


def test_others_are_not_held_up():
    """Channels without a rate, and what never was in a stream."""
    pacing = Pacing()
    for number in (1, 2):
        assert data(pacing.offer(publication(number, max_rate=None), now=0)) == [number]
    for number in (3, 4):
        assert data(pacing.offer(publication(number, position=None), now=0)) == [number]
    assert pacing.due is None


def test_word_that_something_is_missing_comes_at_once_and_in_order():
    pacing = Pacing()
    pacing.offer(publication(1), now=0)
    pacing.offer(publication(2), now=0)
    stale = publication(3, stale="gap")
    assert pacing.offer(stale, now=0.1) == [publication(2), stale]
    assert pacing.tick(0.5) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60), st.sampled_from([0.5, 1.0, 3.0, 7.0]))
def test_newest_arrives_and_no_second_has_more(steps, rate):
    """Whatever comes when: in order, at most N in any second, and the newest within an interval."""
    pacing, now, sent, number = Pacing(), 0.0, [], 0
    for pause, publishes in steps:
        end = now + pause
        while pacing.due is not None and pacing.due <= end:
            now = pacing.due
            sent += [(now, one) for one in data(pacing.tick(now))]
        now = end
        if publishes:
            number += 1
            sent += [(now, one) for one in data(pacing.offer(publication(number, max_rate=rate), now=now))]
    while pacing.due is not None:
        now = pacing.due
        sent += [(now, one) for one in data(pacing.tick(now))]
    numbers = [one for _, one in sent]
    assert numbers == sorted(set(numbers))
    assert not number or numbers[-1] == number
    times = [time for time, _ in sent]
    assert all(later - earlier > 1 / rate - 1e-6 for earlier, later in zip(times, times[1:], strict=False))
