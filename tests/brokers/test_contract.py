"""Every broker keeps the same promises."""

from __future__ import annotations

import socket
import threading

import pytest
import uvicorn

from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.brokers.local import LocalBroker, LocalFeed
from django_jugpush.brokers.redis import RedisBroker, RedisFeed
from django_jugpush.server.publish import PublishEndpoint
from tests.contracts.brokers import NAMESPACE, PATIENCE, BrokerContract, Bus, HearingContract
from tests.contracts.history import HistoryContract

KEY = b"k" * 32


class LocalBus(Bus):
    """The push server's endpoint under a real uvicorn."""

    def __init__(self):
        super().__init__(LocalFeed())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.bring_back()

    def broker(self):
        return LocalBroker(f"http://127.0.0.1:{self.port}/", keys=[KEY], find=pytest.fail)

    def bring_back(self):
        listener = socket.create_server(("127.0.0.1", self.port))
        app = PublishEndpoint([KEY], self)
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.serving = threading.Thread(target=self.server.run, args=[[listener]])
        self.serving.start()

    def publish_again(self, publications):
        self.loop.call_soon_threadsafe(lambda: self.feed.receive(publications, again=True))

    def receive(self, publications, *, again=False):
        """Take what is posted to the endpoint, whose event loop is not the feed's."""
        self.loop.call_soon_threadsafe(lambda: self.feed.receive(publications, again=again))

    def take_away(self):
        self.server.should_exit = True
        self.serving.join(PATIENCE)

    def stop(self):
        self.take_away()
        super().stop()


class RedisBus(Bus):
    """A real redis-server."""

    def __init__(self, server):
        super().__init__(RedisFeed(server.url, namespace=NAMESPACE))
        self.server = server
        self.brokers = []

    def broker(self):
        self.brokers.append(RedisBroker(self.server.url))
        return self.brokers[-1]

    def publish_again(self, publications):
        self.broker()._publish(publications, again=True)

    def take_away(self):
        self.server.kill()

    def bring_back(self):
        self.server.start()

    def stop(self):
        super().stop()
        for broker in self.brokers:
            broker.close()


class DummyBus(Bus):
    """Has nothing between its halves: what is published has arrived."""

    def __init__(self):
        super().__init__(LocalFeed())
        self.dummy = DummyBroker()
        self.dummy.publications = self

    def broker(self):
        return self.dummy

    def extend(self, publications):
        """Be what the broker keeps."""
        self._deliver(publications)

    def take_away(self):
        raise NotImplementedError

    bring_back = take_away


class TestLocal(BrokerContract, HearingContract, HistoryContract):
    @pytest.fixture
    def bus(self):
        bus = LocalBus()
        bus.start()
        yield bus
        bus.stop()

    def begins(self, bus):
        return bus.feed._streams.is_whole_since


class TestRedis(BrokerContract, HearingContract, HistoryContract):
    @pytest.fixture
    def bus(self, redis_server):
        bus = RedisBus(redis_server)
        bus.start()
        yield bus
        bus.stop()

    def begins(self, bus):
        return int(bus.server.client().hget("tests:0:memory", "since"))


class TestDummy(BrokerContract):
    @pytest.fixture
    def bus(self):
        bus = DummyBus()
        bus.start()
        yield bus
        bus.stop()
