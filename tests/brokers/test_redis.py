"""The redis broker against a real redis-server: what is particular to it. What all brokers share: contracts."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from django_jugpush.brokers.redis import RedisBroker, RedisNames
from django_jugpush.brokers.redis.connections import SENT_AT_ONCE, Connections
from django_jugpush.exceptions import BrokerError, BrokerUnavailable
from tests.brokers.ear import asynchronous, ear, publication, until


def test_batch_takes_one_round_trip(redis_server):
    """A transaction's publications reach Redis in one write, whatever their number."""
    broker = RedisBroker(redis_server.url)
    broker.publish([publication("warm-up")])
    client = redis_server.client()
    client.ping()
    before = client.info("stats")["total_reads_processed"]
    broker.publish([publication(f"c{number}") for number in range(20)])
    assert client.info("stats")["total_reads_processed"] - before == 2  # the batch, and the question itself


def test_long_batch_does_not_keep_redis_from_everything_else(redis_server):
    """The script is given so many publications at once, or so many bytes."""
    broker = RedisBroker(redis_server.url)
    client = redis_server.client()

    def calls(batch):
        before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        broker.publish(batch)
        return client.info("commandstats")["cmdstat_evalsha"]["calls"] - before

    broker.publish([publication("warm-up")])
    assert calls([publication(f"c{number}") for number in range(50)]) == 1
    # The first brings the script along, which is another command.
    assert calls([publication("news") for _ in range(120)]) == 2
    assert calls([publication("news", b'"%s"' % (b"x" * 40_000)) for _ in range(3)]) == 2


def test_names_hold_database_namespace_and_no_special_characters():
    """Neither another database, nor another project, nor a cluster's hash tags can mix channels up."""
    assert RedisNames("redis://h:1/3").channel("shop:order:7") == "shop:3:c:order:7"
    assert RedisNames("redis://h:1").channel("shop:a{b}*?[x]%ü") == "shop:0:c:a%7Bb%7D%2A%3F%5Bx%5D%25%C3%BC"
    assert RedisNames("unix:///run/redis.sock?db=2").channel("shop:x") == "shop:2:c:x"
    assert RedisNames("redis://h:1/3").control("shop.tenants.name") == "shop.tenants.name:3:control"


@asynchronous
async def test_namespaces_and_databases_hear_nothing_of_each_other(redis_server):
    other_database = redis_server.url.replace("/0", "/5")
    async with (
        ear(redis_server.url, "a") as one,
        ear(redis_server.url, "b") as two,
        ear(other_database, "a") as three,
    ):
        for each in (one, two, three):
            await each.listen("user:42")
        first, second = RedisBroker(redis_server.url), RedisBroker(other_database)
        first.publish([publication("user:42", b"0", "a"), publication("user:42", b"1", "b")])
        second.publish([publication("user:42", b"2", "a")])
        assert [bytes((await each.next()).data) for each in (one, two, three)] == [b"0", b"1", b"2"]
        for each, broker in ((one, first), (two, first), (three, second)):
            await each.nothing_before(broker, "user:42")


@asynchronous
async def test_servers_subscribe_only_to_channels_with_listeners(own_redis):
    """A channel is left a while after its last listener, and not at all if one comes back in time."""
    async with ear(own_redis.url, linger=0.2) as one:
        await one.listen("left", "kept", "back")
        client = own_redis.client()
        assert set(client.pubsub_channels("tests:0:c:*")) == {"tests:0:c:left", "tests:0:c:kept", "tests:0:c:back"}
        one.feed.forget(["tests:left", "tests:back"])
        one.feed.listen(["tests:back"])
        await until(lambda: "tests:0:c:left" not in client.pubsub_channels())
        assert set(client.pubsub_channels("tests:0:c:*")) == {"tests:0:c:kept", "tests:0:c:back"}
        await one.listen("left")
        await one.nothing_before(RedisBroker(own_redis.url), "left")


@asynchronous
async def test_ten_thousand_channels_are_subscribed_in_batches(own_redis):
    async with ear(own_redis.url) as one:
        await one.listen(*(f"c{number}" for number in range(10_000)))
        calls = own_redis.client().info("commandstats")["cmdstat_subscribe"]["calls"]
        assert calls <= 21


@asynchronous
async def test_what_is_asked_for_in_an_outage_and_left_again_is_not_remembered(own_redis):
    async with ear(own_redis.url) as one:
        await one.listen("kept")
        own_redis.kill()
        await until(lambda: not one.feed.is_connected)
        for number in range(100):
            one.feed.listen([f"tests:{number % 50}"])
            one.feed.forget([f"tests:{number % 50}"])
        assert list(one.feed._channels) == ["tests:0:c:kept"]
        assert not one.feed._asking and not one.feed._leaving
        one.feed.listen(["tests:7"])
        own_redis.start()
        await one.listen("kept", "7")
        assert set(own_redis.client().pubsub_channels("tests:0:c:*")) == {"tests:0:c:kept", "tests:0:c:7"}


@pytest.mark.parametrize("blow", ["kill connections", "restart", "freeze"])
@asynchronous
async def test_broken_connection_is_made_anew_and_listeners_are_told(own_redis, blow, caplog):
    """After CLIENT KILL, a restart and a silent link: everything is heard again, and said once to be stale."""
    caplog.set_level(logging.INFO, "django_jugpush")
    async with ear(own_redis.url, ping_interval=0.2) as one:
        await one.listen("news", "other")
        if blow == "kill connections":
            own_redis.client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        elif blow == "restart":
            own_redis.kill()
            await until(lambda: not one.feed.is_connected)
            own_redis.start()
        else:
            own_redis.freeze()
            await until(lambda: not one.feed.is_connected)
            own_redis.thaw()
        told = {(await one.next()).channel, (await one.next()).channel}
        assert told == {"news", "other"}
        broker = RedisBroker(own_redis.url)
        await one.nothing_before(broker, "news")
        await one.nothing_before(broker, "other")
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


@asynchronous
async def test_server_that_starts_before_redis_hears_it_later(own_redis):
    own_redis.kill()
    async with ear(own_redis.url) as one:
        one.feed.listen(["tests:news"])
        waiting = asyncio.create_task(one.feed.ready("tests:news"))
        await asyncio.sleep(0)
        own_redis.start()
        await asyncio.wait_for(waiting, 5)
        await one.nothing_before(RedisBroker(own_redis.url), "news")


STRANGE = {
    "nothing": b"",
    "half a value": b"{",
    "a list": b"[]",
    "no publication": b'{"id":1}',
    "no text": b"\xff",
    "too deep": b"[" * 100_000,
    "of another project": b'{"id":"1","channel":"news","namespace":"other"}',  # who may publish here may not there
    "of another channel": b'{"id":"1","channel":"other","namespace":"tests"}',
}


@pytest.mark.parametrize("message", STRANGE.values(), ids=STRANGE)
@asynchronous
async def test_strange_message_is_ignored(redis_server, caplog, message):
    """Something else that publishes into the project's names does no harm."""
    async with ear(redis_server.url) as one:
        await one.listen("news")
        redis_server.client().publish("tests:0:c:news", b"e:1-1 " + message)
        await one.nothing_before(RedisBroker(redis_server.url), "news")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@asynchronous
async def test_feed_survives_a_fault_of_its_server(own_redis, caplog):
    """It is logged, with its traceback, and the connection made anew."""
    async with ear(own_redis.url) as one:
        await one.listen("news")
        deliver, one.feed._deliver = one.feed._deliver, lambda publications: 1 / 0
        RedisBroker(own_redis.url).publish([publication("news")])
        await until(lambda: not one.feed.is_connected)
        one.feed._deliver = deliver
        assert (await one.next()).stale == "gap"
        await one.nothing_before(RedisBroker(own_redis.url), "news")
        own_redis.client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await one.nothing_before(RedisBroker(own_redis.url), "news")
    assert "ZeroDivisionError" in caplog.text


def test_absent_redis_is_told_at_once():
    broker = RedisBroker("redis://127.0.0.1:1/0")
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        broker.publish([publication("news")])
    assert time.monotonic() - started < 1


def test_silent_redis_holds_a_publish_for_a_second_at_most(own_redis):
    broker = RedisBroker(own_redis.url)
    broker.publish([publication("news")])
    own_redis.freeze()
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        broker.publish([publication("news")])
    assert time.monotonic() - started < 1.5
    own_redis.thaw()


def test_publish_right_after_a_restart_arrives(own_redis):
    """A pooled connection that died with the old Redis costs no publication."""
    broker = RedisBroker(own_redis.url)
    broker.publish([publication("news")])
    own_redis.kill()
    own_redis.start()
    with own_redis.client().pubsub() as listener:
        listener.psubscribe("*")
        assert listener.get_message(timeout=5)["type"] == "psubscribe"
        broker.publish([publication("news")])
        assert listener.get_message(timeout=5)["type"] == "pmessage"


def test_interruption_leaves_no_answer_to_what_comes_next(redis_server):
    """As by Celery's soft time limit, when a part is sent already."""
    connections = Connections(redis_server.url)

    class TimeIsUp(Exception):
        pass

    def commands():
        yield "BLPOP", "x" * SENT_AT_ONCE, "0.2"  # answers when the next has been sent
        raise TimeIsUp

    with pytest.raises(TimeIsUp):
        connections.exchange(commands())
    assert connections.exchange([("ECHO", "y")]) == [b"y"]
    connections.close()


def test_refused_account_is_a_broker_error(own_redis):
    """And not an absent Redis, for which another try might be worth something."""
    broker = RedisBroker(own_redis.url.replace("redis://", "redis://nobody:wrong@"))
    with pytest.raises(BrokerError, match="invalid username-password") as caught:
        broker.publish([publication("news")])
    assert not isinstance(caught.value, BrokerUnavailable)


def test_refused_publish_is_a_broker_error(own_redis):
    """A user without the right to publish is told so, and is not taken for an absent Redis."""
    own_redis.client().execute_command(
        "ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+ping", "+hello", "+client"
    )
    broker = RedisBroker(own_redis.url.replace("redis://", "redis://reader:secret@"))
    with pytest.raises(BrokerError, match="no permissions") as caught:
        broker.publish([publication("news", b'"private"')])
    assert not isinstance(caught.value, BrokerUnavailable)
    assert "private" not in str(caught.value)
