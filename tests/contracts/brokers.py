"""
What every broker promises: one class, run against each of them.

A test module derives a class from :class:`BrokerContract` and gives it a fixture ``bus``, which holds both halves: a
broker, and a feed that runs on an event loop in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict

import msgspec
import pytest

from django_jugpush.core.channels import full_name
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable

NAMESPACE = "tests"

PATIENCE = 10
"""Seconds after which a test no longer waits: far above what anything takes."""

IN_TIME = 1.5
"""Seconds within which a publish ends, also when it fails: the promise, and what a busy machine adds."""


def publication(channel="news", data=b"1", **more):
    more = {"id": "id", "namespace": NAMESPACE} | more
    return Publication(channel=channel, data=msgspec.Raw(data), **more)


def words(publication):
    """Return what can be compared of a publication: what was published, not where it stands."""
    return msgspec.structs.asdict(publication) | {"data": bytes(publication.data), "position": None}


class Bus(ABC):
    """Both halves of a broker, and what lies between."""

    def __init__(self, feed):
        self.feed = feed
        self.heard = queue.Queue()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    @abstractmethod
    def broker(self):
        """Return a new broker."""

    @abstractmethod
    def take_away(self):
        """Stop what lies between the halves."""

    @abstractmethod
    def bring_back(self):
        """Start it again, in the same place."""

    def start(self):
        self.thread.start()
        self.run(self.feed.start(self._deliver))

    def stop(self):
        self.run(self.feed.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()

    def run(self, coroutine):
        """Run a coroutine on the feed's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def listen(self, *channels, namespace=NAMESPACE):
        """Listen, and return when the feed says that it is ready."""

        async def listen():
            names = [full_name(namespace, channel) for channel in channels]
            self.feed.listen(names)
            for name in names:
                await self.feed.ready(name)
                assert self.feed.is_ready(name)

        self.run(listen())

    def read(self, channel, since=None):
        """Return what the feed knows to have been published to a channel after a position."""
        return self.run(self.feed.read(full_name(NAMESPACE, channel), since))

    def publish_again(self, publications):
        """Publish what may have been published before."""
        raise NotImplementedError

    def forget(self, *channels):
        async def forget():
            self.feed.forget([full_name(NAMESPACE, channel) for channel in channels])

        self.run(forget())

    def next(self):
        """Return the next publication that is heard."""
        return self.heard.get(timeout=PATIENCE)

    def data(self):
        """Return the data of the next publication that is heard."""
        return bytes(self.next().data)

    def take(self, number):
        """Return the words of the next publications that are heard."""
        return [words(self.next()) for _ in range(number)]

    def _deliver(self, publications):
        for one in publications:
            self.heard.put(one)


class BrokerContract:
    """The promises about publishing."""

    def test_batch_arrives_in_order(self, bus):
        """In the order given, whatever the channels."""
        bus.listen("a", "b")
        batch = [publication("ab"[number % 2], b"%d" % number) for number in range(20)]
        bus.broker().publish(batch)
        assert bus.take(20) == [words(one) for one in batch]

    def test_batches_of_one_thread_arrive_in_order(self, bus):
        bus.listen("news")
        broker = bus.broker()
        for number in range(20):
            broker.publish([publication(data=b"%d" % number)])
        assert [one["data"] for one in bus.take(20)] == [b"%d" % number for number in range(20)]

    def test_long_batch_arrives(self, bus):
        """A transaction may change thousands of rows."""
        bus.listen("news")
        bus.broker().publish([publication(data=b"%d" % number) for number in range(3000)])
        assert [one["data"] for one in bus.take(3000)] == [b"%d" % number for number in range(3000)]

    def test_empty_batch_is_nothing(self, bus):
        bus.listen("news")
        broker = bus.broker()
        broker.publish([])
        broker.publish([publication()])
        assert bus.data() == b"1"

    @pytest.mark.parametrize(
        "sent",
        [
            publication(id="0191-abc", version=1_763_924_990_000_001),
            publication(exclude=("client-0123456789", "another-one-4567")),
            publication(stale="size", exclude=("client-0123456789",), version=1),
            publication(stale="storm"),
            publication(data='{"text": "čaj ☕ 𝄞", "n": [1.10, null, true]}'.encode()),
            publication(data=b"null"),
        ],
        ids=["version", "exclude", "size", "storm", "unicode", "null"],
    )
    def test_all_that_a_publication_says_arrives(self, bus, sent):
        """To the byte."""
        bus.listen("news")
        bus.broker().publish([sent])
        assert words(bus.next()) == words(sent)

    @pytest.mark.parametrize(
        "channel",
        ["order:7", "dům:čaj ☕", "{a}*?[b]%", "a:b:c", ":", "shop.order:7", "a b", '"\\', "x" * 200],
        ids=ascii,
    )
    def test_any_name_is_a_channel(self, bus, channel):
        bus.listen(channel)
        bus.broker().publish([publication(channel)])
        assert words(bus.next()) == words(publication(channel))

    def test_big_publication_arrives(self, bus):
        """Its limit is MAX_MESSAGE_SIZE, which a project may raise."""
        bus.listen("news")
        big = publication(data=b'"%s"' % (b"x" * 3_000_000))
        bus.broker().publish([big, publication()])
        assert bus.take(2) == [words(big), words(publication())]

    def test_threads_share_a_broker(self, bus):
        """Each keeps its order."""
        bus.listen("news")
        broker = bus.broker()
        together = threading.Barrier(8)

        def publish(number):
            together.wait(PATIENCE)
            for count in range(25):
                broker.publish([publication(id=str(number), data=b"%d" % count)])

        threads = [threading.Thread(target=publish, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        arrived = defaultdict(list)
        for one in bus.take(200):
            arrived[one["id"]].append(int(one["data"]))
        assert dict(arrived) == {str(number): list(range(25)) for number in range(8)}

    def test_broker_is_used_again_after_its_close(self, bus):
        bus.listen("news")
        broker = bus.broker()
        broker.publish([publication(data=b"1")])
        broker.close()
        broker.close()
        broker.publish([publication(data=b"2")])
        assert [one["data"] for one in bus.take(2)] == [b"1", b"2"]


class HearingContract:
    """The promises of a broker with something between its halves."""

    def test_fork_leaves_a_broker_to_both(self, bus):
        """What was used before the fork is used by parent and child after it."""
        bus.listen("news")
        broker = bus.broker()
        broker.publish([publication(data=b'"before"')])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads, as in any server
            child = os.fork()
        if child == 0:  # pragma: no cover - in another process
            with contextlib.suppress(BaseException):
                broker.publish([publication(data=b'"child"')])
                os._exit(0)
            os._exit(1)
        broker.publish([publication(data=b'"parent"')])
        assert os.waitpid(child, 0)[1] == 0
        assert bus.data() == b'"before"'
        assert {bus.data() for _ in range(2)} == {b'"child"', b'"parent"'}

    def test_what_is_published_after_ready_is_heard(self, bus):
        """However often, and however soon."""
        broker = bus.broker()
        for number in range(50):
            bus.listen(f"c{number}")
            broker.publish([publication(f"c{number}")])
            assert bus.next().channel == f"c{number}"

    def test_only_channels_with_listeners_are_heard(self, bus):
        bus.listen("news", "sport")
        bus.forget("sport")
        bus.listen("sport")
        broker = bus.broker()
        broker.publish([publication("other"), publication("sport"), publication("news")])
        assert [one["channel"] for one in bus.take(2)] == ["sport", "news"]

    def test_namespaces_hear_nothing_of_each_other(self, bus):
        bus.listen("user:42", namespace="one")
        bus.listen("user:42", namespace="two")
        bus.listen("last", namespace="one")
        broker = bus.broker()
        broker.publish([publication("user:42", b"2", namespace="two"), publication("user:42", b"3", namespace="three")])
        broker.publish([publication("last", namespace="one")])
        assert [(one["namespace"], one["channel"]) for one in bus.take(2)] == [("two", "user:42"), ("one", "last")]

    def test_absence_is_told_in_time_and_ends_by_itself(self, bus):
        """With the same broker and the same feed."""
        bus.listen("news")
        broker = bus.broker()
        broker.publish([publication(data=b'"before"')])
        assert bus.data() == b'"before"'
        bus.take_away()
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable):
                broker.publish([publication(data=b'"lost"')])
            assert time.monotonic() - started < IN_TIME
        bus.bring_back()
        broker.publish([publication(data=b'"unheard, perhaps"')])
        bus.listen("news")
        broker.publish([publication(data=b'"after"')])
        while (heard := words(bus.next()))["data"] != b'"after"':
            assert heard["stale"] == "gap" or heard["data"] == b'"unheard, perhaps"'

    def test_stopped_feed_hears_nothing_until_it_is_started(self, bus):
        bus.listen("news")
        broker = bus.broker()
        bus.run(bus.feed.stop())
        broker.publish([publication(data=b'"lost"')])
        bus.run(bus.feed.start(bus._deliver))
        bus.listen("news")
        broker.publish([publication(data=b'"after"')])
        heard = words(bus.next())
        assert heard["stale"] == "gap" or heard["data"] == b'"after"'
