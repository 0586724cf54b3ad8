"""Whether the control channel is heard, and what was told on it before."""

from __future__ import annotations

import time

import pytest

from django_jugpush.brokers.base import Feed
from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.history import Replay
from django_jugpush.core.positions import Position
from django_jugpush.server.rights import following

from .world import Project, scenario, until


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
            now += following.BLIND_AFTER
            world.rights.tick()
            assert client.words() == []
            now += 0.1
            world.rights.tick()
            (word,) = client.words()
            assert (word["type"], word["channel"], word["code"]) == ("unsubscribed", "orders", ErrorCode.REAUTHORIZE)
            world.feed.is_cut = False
            world.rights._judge.is_blind = True
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
                now += following.BLIND_AFTER
            assert client.words() == []

        scenario(test)(monkeypatch)

    @pytest.mark.parametrize(("says", "is_heard"), [(None, True), (True, True), (False, False)])
    def test_feed_that_cannot_say_so_of_one_channel_hears_it_when_it_is_connected(self, says, is_heard, monkeypatch):
        """So it is with a project's own that has no ``is_ready``."""

        async def test(world, monkeypatch):
            await world.push.start()
            monkeypatch.setattr(
                world.feed, "is_ready", lambda name: Feed.is_ready(world.feed, name) if says is None else says
            )
            now = time.time()
            monkeypatch.setattr(world.rights, "_clock", lambda: now)
            world.rights.tick()
            now += following.BLIND_AFTER + 0.1
            world.rights.tick()
            assert world.rights.is_blind is not is_heard
            if says is None:
                world.feed.is_connected = False
                world.rights.tick()
                now += following.BLIND_AFTER + 0.1
                world.rights.tick()
                assert world.rights.is_blind

        scenario(test)(monkeypatch)

    def test_server_that_cannot_read_the_past_lets_nobody_in_yet(self, monkeypatch):
        """It starts all the same, and tries on."""

        async def test(world, monkeypatch):
            monkeypatch.setattr(following, "CATCH_UP_TIMEOUT", 0.01)
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
            assert world.rights._judge.revocations.known_since == 0

        scenario(test)(monkeypatch)

    def test_memory_that_begins_later_is_trusted_from_there_on(self, monkeypatch):
        async def test(world, monkeypatch):
            begins = time.time() - 600
            world.feed._streams = streams = world.feed._streams.__class__(now=int(begins * 1000))
            monkeypatch.setattr(world.feed, "start", start(world.feed, streams))
            await world.push.start()
            assert begins <= world.rights._judge.revocations.known_since < begins + 2 * following.PRECISION

        scenario(test)(monkeypatch)

    @pytest.mark.parametrize("reads", [1, 2], ids=["before the first page", "between two"])
    def test_what_is_dropped_while_it_is_read_is_not_known(self, reads, monkeypatch):
        """The search for the beginning begins again."""

        async def test(world, monkeypatch):
            world.feed._streams = streams = world.feed._streams.__class__(now=0)
            monkeypatch.setattr(world.feed, "start", start(world.feed, streams))
            for number in range(250):
                newest = world.tell("revoke", users=("1",), login=f"L{number}", is_final=True)
            read, left = world.feed.read, reads

            async def read_slowly(channel, since):
                nonlocal left
                replay = await read(channel, since)
                if channel == Project.control_channel:
                    left -= 1
                    if left == 0:
                        streams._streams[channel]._shorten(0)
                return replay

            monkeypatch.setattr(world.feed, "read", read_slowly)
            await world.push.start()
            await until(lambda: not world.rights.is_blind)
            assert left < 0
            assert world.rights._judge.revocations.known_since >= newest.at

        scenario(test)(monkeypatch)

    def test_stream_that_is_never_whole_is_not_waited_for(self, monkeypatch):
        """What is published from the start on is heard; of what was before nothing is known."""

        async def test(world, monkeypatch):
            async def read(channel, since):
                return Replay(is_complete=False, position=Position("e", 1, 1))

            monkeypatch.setattr(world.feed, "read", read)
            began = time.time()
            world.rights._follower._hears_from = None
            await world.push.start()
            assert not world.rights.is_blind
            assert world.rights._judge.revocations.known_since >= began

        scenario(test)(monkeypatch)


def start(feed, streams):
    """Start a feed that remembers what was before."""

    async def start(deliver):
        feed._streams, feed._deliver = streams, deliver

    return start
