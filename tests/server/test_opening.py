"""Subscriptions to channels that the feed does not hear yet."""

from __future__ import annotations

import asyncio
import functools
import logging

import pytest

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.hub import Hub
from django_jugpush.server.opening import Opening
from tests.waiting import wait_until

from .conftest import TIMEOUT, MemoryFeed, Served


class SlowFeed(MemoryFeed):
    """Is ready when the test says so."""

    def __init__(self):
        super().__init__()
        self.events = {}
        self.error = None
        self.waits = 0

    async def ready(self, channel):
        """Wait for the test."""
        self.waits += 1
        await self.events.setdefault(channel, asyncio.Event()).wait()
        if self.error:
            raise self.error

    def is_ready(self, channel):
        return channel in self.events and self.events[channel].is_set() and not self.error


@pytest.fixture
def served():
    served = Served(feed=SlowFeed())
    served.push._opening._timeout = 10 * TIMEOUT  # a task that nobody ends is there at the end of its test
    served.start()
    yield served
    served.stop()


def ask(served, peer, channel, **word):
    """Subscribe, and return when the server waits for its feed."""
    waits = served.feed.waits
    peer.send(type="subscribe", channel=channel, **{"id": 1} | word)
    wait_until(lambda: served.feed.waits == waits + 1)


def hear(served, channel):
    """Let the feed be ready."""
    served.call(lambda: served.feed.events.setdefault(f"tests:{channel}", asyncio.Event()).set())


def alive(peer):
    """Tell whether the server answers, and that nothing came before the answer."""
    peer.send(type="ping")
    return peer.receive() == {"type": "pong"}


def test_answer_waits_until_the_channel_is_heard(served):
    """The feed was told to listen; other commands are answered meanwhile."""
    with served.peer() as peer:
        ask(served, peer, "open:a")
        assert served.feed.channels == {"tests:open:a"}
        assert alive(peer)
        hear(served, "open:a")
        assert peer.receive() == {"type": "subscribed", "id": 1, "channel": "open:a"}
        wait_until(lambda: len(served.push._opening) == 0)


def test_what_is_published_meanwhile_comes_after_the_answer(served):
    """In order, and with nothing lost or repeated when it goes on."""
    with served.peer() as peer:
        ask(served, peer, "open:a")
        served.publish("open:a", 1)
        served.publish("open:a", 2)
        assert alive(peer)
        served.call(served.feed.events["tests:open:a"].set)
        served.publish("open:a", 3)
        assert peer.receive()["type"] == "subscribed"
        served.publish("open:a", 4)
        assert [peer.receive()["data"] for _ in range(4)] == [1, 2, 3, 4]


def test_second_listener_waits_as_well(served):
    """A channel that somebody listens to need not be heard yet."""
    with served.peer() as first, served.peer() as second:
        ask(served, first, "open:a")
        ask(served, second, "open:a")
        hear(served, "open:a")
        assert first.receive()["type"] == second.receive()["type"] == "subscribed"
        served.publish("open:a", 1)
        assert first.receive()["data"] == second.receive()["data"] == 1


def test_channel_that_is_not_heard_in_time_can_be_asked_for_again(served, monkeypatch):
    """The error is temporary, and nothing is kept of the attempt."""
    monkeypatch.setattr(served.push._opening, "_timeout", 0.05)
    with served.peer() as peer:
        answer = peer.subscribe("open:a")
        assert (answer["type"], answer["code"], answer["temporary"]) == ("error", ErrorCode.INTERNAL, True)
        assert served.feed.channels == set()
        hear(served, "open:a")
        assert peer.subscribe("open:a")["type"] == "subscribed"


def test_feed_that_fails_is_an_error_of_the_server(served, caplog):
    """Temporary, and with a traceback in the log."""
    served.feed.error = RuntimeError("the feed is broken")
    with served.peer() as peer, caplog.at_level(logging.ERROR):
        hear(served, "open:a")
        answer = peer.subscribe("open:a")
        assert (answer["code"], answer["temporary"]) == (ErrorCode.INTERNAL, True)
    assert "the feed is broken" in caplog.text


def test_withdrawn_subscription_is_forgotten(served):
    """The next one to the same channel has an answer of its own."""
    with served.peer() as peer:
        ask(served, peer, "open:a")
        served.publish("open:a", 1)
        peer.send(type="unsubscribe", id=2, channel="open:a")
        assert peer.receive() == {"type": "unsubscribed", "id": 2, "channel": "open:a"}
        wait_until(lambda: len(served.push._opening) == 0)
        assert served.feed.channels == set()
        ask(served, peer, "open:a", id=3)
        hear(served, "open:a")
        assert peer.receive() == {"type": "subscribed", "id": 3, "channel": "open:a"}
        served.publish("open:a", 2)
        assert peer.receive()["data"] == 2


def test_second_attempt_in_the_same_breath_is_answered_once(served):
    with served.peer() as peer:
        for id, type in enumerate(["subscribe", "unsubscribe", "subscribe"], start=1):
            peer.send(type=type, id=id, channel="open:a")
        assert peer.receive()["type"] == "unsubscribed"
        hear(served, "open:a")
        assert peer.receive() == {"type": "subscribed", "id": 3, "channel": "open:a"}
        served.publish("open:a", 1)
        assert peer.receive()["data"] == 1
        assert alive(peer)


def test_client_that_goes_leaves_nothing_waiting(served):
    with served.peer() as peer:
        ask(served, peer, "open:a")
        ask(served, peer, "open:b")
    wait_until(lambda: len(served.push._opening) == 0)
    assert served.feed.channels == set()
    hear(served, "open:a")


def test_stop_ends_the_waiting(served):
    with served.peer() as peer:
        ask(served, peer, "open:a")
        served.run(served.push.drain())
        assert peer.rest()[0][-1]["type"] == "disconnect"
        wait_until(lambda: len(served.push._opening) == 0)


def test_token_of_another_login_opens_nothing_in_the_end(served):
    """What was kept for it is dropped."""
    with served.peer() as peer:
        ask(served, peer, "a", token="a/alice")
        hear(served, "a")
        assert peer.receive()["type"] == "subscribed"
        ask(served, peer, "b", token="b/bob")
        served.publish("b", "for bob")
        hear(served, "b")
        assert peer.receive()["code"] == ErrorCode.IDENTITY_MISMATCH
        served.publish("b", "for bob")
        assert alive(peer)
        assert "tests:b" not in served.feed.channels


def test_slow_reader_may_be_sent_away_by_what_was_kept(served):
    """And it ends as any slow reader does."""
    with served.peer(max_queue=1) as peer:
        ask(served, peer, "open:a")
        for _ in range(60):
            served.publish("open:a", "x" * 50_000)
        hear(served, "open:a")
        words, code = peer.rest()
        assert words[-1]["code"] == code == 3008
        wait_until(lambda: not served.push.hub.channels())


def test_channels_are_limited_however_many_wait_for_their_turn():
    """Those for which there is no room left then are told, and may ask again when there is."""
    served = Served(feed=SlowFeed(), max_channels=10)
    served.start()
    try:
        with served.peer() as peer:
            for number in range(30):
                peer.send(type="subscribe", id=number + 1, channel=f"open:{number}")
            assert alive(peer)
            for number in range(30):
                hear(served, f"open:{number}")
            answers = [peer.receive() for _ in range(30)]
            assert [answer["id"] for answer in answers if answer["type"] == "subscribed"] == [*range(1, 11)]
            assert [answer["code"] for answer in answers if answer["type"] == "error"] == [106] * 20
            assert len(served.push.hub.channels()) == len(served.feed.channels) == 10
            peer.send(type="unsubscribe", id=100, channel="open:0")
            assert peer.receive()["type"] == "unsubscribed"
            assert peer.subscribe("open:29")["type"] == "subscribed"
            wait_until(lambda: len(served.push._opening) == 0)
    finally:
        served.stop()


def test_subscription_that_is_withdrawn_before_its_turn_never_has_one():
    """The others of its client go on."""

    async def main():
        feed, answered = SlowFeed(), []
        opening = Opening(feed, hub := Hub(feed), at_once=1, max_channels=3)
        for request, channel in enumerate("abc"):
            then = functools.partial(lambda channel, replay: answered.append(channel), channel)
            opening.add("session", request, channel, since=None, then=then)
        opening.cancel("session", 1)
        for channel in "abc":
            feed.events.setdefault(channel, asyncio.Event()).set()
        async with asyncio.timeout(TIMEOUT):
            while len(opening):  # noqa: ASYNC110 - nothing tells when it is empty
                assert hub.channels() <= {"a", "c"}
                await asyncio.sleep(0)
        assert answered == ["a", "c"]
        assert not hub.channels()

    asyncio.run(main())
