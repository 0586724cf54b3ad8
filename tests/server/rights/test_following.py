"""Whether the control channel is heard, and what was told on it before."""

from __future__ import annotations

import time

from django_jugpush.core.codes import ErrorCode
from django_jugpush.server.rights import following

from .world import scenario, until


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


def start(feed, streams):
    """Start a feed that remembers what was before."""

    async def start(deliver):
        feed._streams, feed._deliver = streams, deliver

    return start
