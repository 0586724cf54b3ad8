"""Redis goes, comes back or is replaced under a real push server with clients."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time

import msgspec
import pytest

from django_jugpush.brokers.redis import RedisBroker, RedisFeed
from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import BrokerUnavailable
from tests.redis_server import RedisServer, running_redis
from tests.server.conftest import NAMESPACE, TIMEOUT, Served

OUTAGE = 2.0


def publication(channel, number):
    return Publication(id="id", channel=channel, namespace=NAMESPACE, data=msgspec.Raw(b"%d" % number))


@pytest.fixture
def own_redis(tmp_path):
    with running_redis(tmp_path) as server:
        yield server


@contextlib.contextmanager
def push_server(url):
    served = Served(feed=RedisFeed(url, namespace=NAMESPACE, ping_interval=0.3))
    served.start()
    try:
        yield served
    finally:
        served.stop()


def alive(peer):
    """Tell whether the server answers, and that nothing came before the answer."""
    peer.send(type="ping")
    return peer.receive() == {"type": "pong"}


def until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
"""Options of a Redis that keeps whatever it has answered."""


@pytest.mark.parametrize(
    ("options", "go_away", "come_back", "forgets"),
    [
        ((), "kill", "start", True),
        ((), "stop", "start", True),
        (DURABLE, "kill", "start", False),
        (DURABLE, "stop", "start", False),
        ((), "freeze", "thaw", False),
    ],
    ids=["killed", "stopped", "killed and kept", "stopped and kept", "frozen"],
)
def test_clients_stay_connected_through_an_outage(tmp_path, options, go_away, come_back, forgets, caplog):
    """Those who listened are told of the gap, once, if there is one; those who came get their answer; all goes on."""
    caplog.set_level(logging.INFO, "django_jugpush")
    with (
        running_redis(tmp_path, *options) as own_redis,
        push_server(own_redis.url) as served,
        served.peer() as listens,
        served.peer() as comes,
    ):
        broker = RedisBroker(own_redis.url)
        assert listens.subscribe("open:a")["type"] == "subscribed"
        broker.publish([publication("open:a", 1)])
        assert listens.receive()["data"] == 1
        getattr(own_redis, go_away)()
        over = time.monotonic() + OUTAGE
        until(lambda: not served.push.is_connected)
        assert served.push.obstacle == "the broker cannot be heard"
        comes.send(type="subscribe", id=1, channel="open:b")
        while time.monotonic() < over:
            with pytest.raises(BrokerUnavailable):
                broker.publish([publication("open:a", 2)])
            assert alive(listens) and alive(comes)
            time.sleep(0.1)
        getattr(own_redis, come_back)()
        if forgets:
            told = listens.receive()
            assert (told["type"], told["reason"], told["spread"]) == ("stale", "gap", 40)
        assert comes.receive()["type"] == "subscribed"
        broker.publish([publication("open:a", 3), publication("open:b", 4)])
        heard = listens.receive()
        while go_away == "freeze" and heard["data"] == 2:  # Redis did it in the end, though nobody waited
            heard = listens.receive()
        assert heard["data"] == 3
        assert comes.receive()["data"] == 4
        assert alive(listens) and alive(comes)
        until(lambda: served.push.is_connected)
        broker.close()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_who_asks_during_a_long_outage_is_told_to_ask_again(own_redis, monkeypatch):
    """With a temporary error, on a connection that stays."""
    with push_server(own_redis.url) as served, served.peer() as peer:
        monkeypatch.setattr(served.push._opening, "_timeout", 0.2)
        own_redis.kill()
        until(lambda: not served.push.is_connected)
        answer = peer.subscribe("open:a")
        assert (answer["code"], answer["temporary"]) == (ErrorCode.INTERNAL, True)
        own_redis.start()
        while (answer := peer.subscribe("open:a"))["type"] == "error":
            assert answer["temporary"]
        assert answer["type"] == "subscribed"
        assert alive(peer)


def test_server_that_starts_before_redis_answers_when_it_is_there(own_redis):
    own_redis.kill()
    with push_server(own_redis.url) as served, served.peer() as peer:
        peer.send(type="subscribe", id=1, channel="open:a")
        assert alive(peer)
        own_redis.start()
        assert peer.receive()["type"] == "subscribed"
        RedisBroker(own_redis.url).publish([publication("open:a", 1)])
        assert peer.receive()["data"] == 1


class Address:
    """What a failover moves: an address behind which is one Redis or another."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def move(self, port):
        """Cut everybody off, and be another one's address."""
        self.target = port
        self._cut()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(TIMEOUT)
        self.listener.close()
        self._cut()

    def _cut(self):
        while self.sockets:
            with contextlib.suppress(OSError):
                self.sockets.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self.sockets += [client, server]
                threading.Thread(target=self._carry, args=[client, server]).start()

    def _carry(self, client, server):
        with client, server, contextlib.suppress(OSError, ValueError):  # closed from elsewhere
            while True:
                for readable in select.select([client, server], [], [])[0]:
                    if not (data := readable.recv(65_536)):
                        return
                    (server if readable is client else client).sendall(data)


def test_replica_takes_over(own_redis, tmp_path_factory):
    """Its address and its memory are the old one's, and its run id is not; what was published is published again."""
    replica = RedisServer(tmp_path_factory.mktemp("replica"), "--replicaof", "127.0.0.1", str(own_redis.port))
    replica.start()
    address = Address(own_redis.port)
    try:
        url = f"redis://127.0.0.1:{address.port}/0"
        broker = RedisBroker(url)
        with push_server(url) as served, served.peer() as peer:
            assert peer.subscribe("open:a")["type"] == "subscribed"
            broker.publish([publication("open:a", 1)])
            assert peer.receive()["data"] == 1
            own_redis.kill()
            replica.client().replicaof("NO", "ONE")
            address.move(replica.port)
            assert peer.receive()["reason"] == "gap"
            broker.publish([publication("open:a", 2)])
            assert peer.receive()["data"] == 2
            assert alive(peer)
        broker.close()
    finally:
        address.close()
        replica.kill()
