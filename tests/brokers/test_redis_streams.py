"""What a real redis-server keeps, and a publication's way into it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
import redis

from django_jugpush.brokers.redis import RedisBroker, RedisFeed, broker
from django_jugpush.brokers.redis.scripts import RENEW
from django_jugpush.exceptions import BrokerError, BrokerUnavailable
from tests.brokers.ear import META, STREAM, Publisher, asynchronous, ear, now, until
from tests.redis_server import running_redis

# What is kept


def test_streams_end_and_their_names_are_known_longer(own_redis):
    """Thirty days, but for a last publication, which is kept without end."""
    publish, client = Publisher(own_redis.url), own_redis.client()
    publish(1, history=(10, 60))
    assert 59_000 < client.pttl(STREAM) <= 60_000
    assert 30 * 86_400 < client.ttl(META) <= 31 * 86_400
    offset, _, ms = client.hget(META, "last").partition("-")
    client.hset(META, "last", f"{offset}-{int(ms) - 86_400_000}")
    client.expire(META, 30 * 86_400)
    publish(1, history=(10, 60))
    assert client.ttl(META) > 30 * 86_400  # once a day
    publish(2, last=True)
    assert client.ttl(META) == -1
    assert client.pttl(STREAM) > 290_000
    publish(3)
    assert client.ttl(META) > 0
    assert set(client.hkeys(META)) == {"epoch", "last", "id"}
    publish(4, history=(0, 60))
    assert not client.exists(STREAM)


def test_default_history_is_the_setting(own_redis):
    publish, client = Publisher(own_redis.url, RedisBroker(own_redis.url, history=(7, 30.0))), own_redis.client()
    publish(*range(500))
    assert 7 <= client.xlen(STREAM) <= 7 + 100
    assert 29_000 < client.pttl(STREAM) <= 30_000


def test_renewed_stream_is_known_as_long_as_another(own_redis):
    """What is published to it that day does not see to that."""
    publish, client = Publisher(own_redis.url), own_redis.client()
    publish(1)
    client.expire(META, 3600)
    epoch = client.hget(META, "epoch")
    assert client.execute_command(*RENEW.call([META, STREAM], epoch, "anew", "nowhere", b"{}", 60_000, 0, in_full=True))
    publish(2)
    assert client.hget(META, "epoch") == "anew"
    assert client.ttl(META) > 30 * 86_400


def test_stream_that_was_forgotten_begins_anew(own_redis):
    """Though entries of the old one are left."""
    publish, client = Publisher(own_redis.url), own_redis.client()
    publish(1, 2)
    client.delete(META)
    publish(3)
    assert [id.partition("-")[0] for id, _ in client.xrange(STREAM)] == ["1"]


def test_clock_that_goes_back_gives_no_earlier_times(own_redis):
    publish, client = Publisher(own_redis.url), own_redis.client()
    publish(1)
    ahead = now(client) + 60_000
    client.hset(META, "last", f"7-{ahead}")
    publish(2)
    assert client.hget(META, "last") == f"8-{ahead}"


def test_clocks_are_compared(own_redis, monkeypatch):
    """The quickest answer says it best."""
    publish = Publisher(own_redis.url)
    publish(1)
    assert abs(publish.broker.skew) < 0.5
    late = Publisher(own_redis.url)
    real = time.time
    monkeypatch.setattr(broker.time, "time", lambda: real() - 60)
    late(1)
    assert abs(late.broker.skew - 60) < 0.5
    monkeypatch.setattr(broker.time, "time", iter([0.0, 9.0]).__next__)  # an answer that took long
    late(2)
    assert abs(late.broker.skew - 60) < 0.5


# Trying again


class Cutter:
    """An address of Redis that takes what it is sent and, once, hangs up: before or after Redis has it."""

    def __init__(self, url):
        self.port = int(url.rpartition(":")[2].partition("/")[0])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"
        self.cut = None
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                self.connections += 1
                threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            while request := client.recv(1_000_000):
                cut = self.cut if b"EVAL" in request else None
                if cut == "before":
                    self.cut = None
                    return
                server.sendall(request)
                answer = server.recv(1_000_000)
                if cut == "after":
                    self.cut = None
                    return
                client.sendall(answer)


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3)], ids=str)
def test_publish_over_a_dying_connection_arrives_once(own_redis, cut, numbers):
    """Whether Redis had it or not."""
    cutter = Cutter(own_redis.url)
    publish, client = Publisher(cutter.url), own_redis.client()
    publish(0)
    cutter.cut = cut
    publish(*numbers)
    assert cutter.connections == 2
    assert [entry["id"] for _, entry in client.xrange(STREAM)] == ["0", *map(str, numbers)]
    publish.broker.close()
    cutter.close()


@asynchronous
async def test_redis_that_is_full_refuses(tmp_path):
    """That is no absence; who listens goes on listening."""
    with running_redis(tmp_path, "--maxmemory-policy", "noeviction") as server:
        publish, client = Publisher(server.url), server.client()
        async with ear(server.url) as one:
            await one.follow("news")
            client.config_set("maxmemory", 1)
            with pytest.raises(BrokerError, match="maxmemory") as caught:
                publish(1)
            assert not isinstance(caught.value, BrokerUnavailable)
            refused = client.info("commandstats")["cmdstat_evalsha"]["calls"] + 3
            await until(lambda: client.info("commandstats")["cmdstat_evalsha"]["calls"] > refused)
            assert one.feed.is_connected
            client.config_set("maxmemory", 0)
            await one.nothing_before(publish.broker, "news")


@asynchronous
async def test_replica_is_no_broker(own_redis, tmp_path_factory):
    """It takes nothing, and a push server does not hear there what others publish elsewhere."""
    with running_redis(tmp_path_factory.mktemp("replica"), "--replicaof", "127.0.0.1", str(own_redis.port)) as replica:
        publish = Publisher(replica.url)
        with pytest.raises(BrokerUnavailable, match="read only replica|read-only"):
            publish(1)
        others = [one for one in replica.client().client_list(_type="normal") if one["cmd"] != "client|list"]
        assert others == []  # what has this address may be another one next time
        deaf = RedisFeed(replica.url, namespace="tests")
        client = redis.asyncio.Redis.from_url(replica.url)
        with pytest.raises(redis.exceptions.ReadOnlyError):
            await deaf._reader.connect(client)
        await client.aclose()
