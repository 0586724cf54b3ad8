"""What Redis keeps, against a real redis-server that breaks, forgets and comes back older than it was."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time

import pytest
import redis

from django_jugpush.brokers.redis import RedisBroker, RedisFeed, broker, feed, reader
from django_jugpush.brokers.redis.names import ChannelNames
from django_jugpush.core.positions import Position
from django_jugpush.exceptions import BrokerError, BrokerUnavailable
from tests.brokers.ear import Ear, ear, publication, until
from tests.redis_server import running_redis

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")

META, STREAM, MEMORY = "tests:0:m:{news}", "tests:0:s:{news}", "tests:0:memory"


@pytest.fixture
def own_redis(tmp_path):
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture
def durable_redis(tmp_path):
    with running_redis(tmp_path, *DURABLE) as server:
        yield server


@pytest.fixture(autouse=True)
def quick_beat(monkeypatch):
    monkeypatch.setattr(reader, "BEAT", 0.05)


class Publisher:
    """Publishes numbers."""

    def __init__(self, url, broker=None):
        self.broker = broker or RedisBroker(url)

    def __call__(self, *numbers, channel="news", **more):
        self.broker.publish([publication(channel, b"%d" % number, id=str(number), **more) for number in numbers])


class Silent(RedisBroker):
    """Keeps, but is not heard."""

    def __init__(self, url):
        super().__init__(url)
        of = self.names.of
        self.names.of = lambda full_name: ChannelNames("nowhere", *of(full_name)[1:])


def run(scenario):
    asyncio.run(scenario())


def beats(client):
    return int(client.hget(MEMORY, "beat") or 0)


async def beat_after(client, moment):
    await until(lambda: beats(client) > moment)


def now(client):
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


# Redis goes and comes back


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_restart_that_keeps_the_data_loses_nothing(durable_redis, how):
    """What is published before anyone hears again is heard late; and nobody is told that anything is stale."""

    async def scenario():
        publish = Publisher(durable_redis.url)
        async with ear(durable_redis.url) as one:
            await one.follow("news", "quiet")
            publish(1, 2)
            assert await one.take(2) == ["1", "2"]
            getattr(durable_redis, how)()
            await until(lambda: not one.feed.is_connected)
            durable_redis.start()
            publish(3, 4)
            publish(5, channel="quiet")
            assert sorted(await one.take(3)) == ["3", "4", "5"]
            await one.nothing_before(publish.broker, "news")
            await one.nothing_before(publish.broker, "quiet")

    run(scenario)


def test_restart_without_data_is_a_gap(own_redis):
    """Once in each channel, also where nothing was ever published, for something may have been."""

    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one:
            await one.follow("news", "quiet")
            publish(1)
            assert await one.take(1) == ["1"]
            own_redis.kill()
            own_redis.start()
            told = [await one.next(), await one.next()]
            assert {one.channel: one.stale for one in told} == {"news": "gap", "quiet": "gap"}
            await one.nothing_before(publish.broker, "news")
            await one.nothing_before(publish.broker, "quiet")

    run(scenario)


@pytest.mark.parametrize("published_meanwhile", [0, 1, 2, 5])
def test_redis_that_comes_back_older_is_a_gap(own_redis, published_meanwhile):
    """It gives its offsets again; whoever stands before them is told too, since it lacks what was at them first."""

    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish(1, 2, 3)
            three = [await one.next() for _ in range(3)][-1].position
            own_redis.client().save()
            publish(4, 5)
            assert await one.take(2) == ["4", "5"]
            own_redis.kill()
            own_redis.start()
            for number in range(published_meanwhile):
                publish(10 + number)
            gap = await one.next()
            assert gap.stale == "gap"
            assert gap.position.epoch != three.epoch
            replay = await one.read("news", three)
            assert not replay.is_complete
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_who_did_not_hear_what_is_lost_is_told_by_who_did(own_redis):
    """At once, though its own position is still there."""

    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one, ear(own_redis.url) as other:
            await one.follow("news")
            await other.follow("news")
            publish(1, 2, 3)
            assert await one.take(3) == await other.take(3) == ["1", "2", "3"]
            own_redis.client().save()
            await other.feed.stop()
            publish(4, 5)
            assert await one.take(2) == ["4", "5"]
            own_redis.kill()
            await until(lambda: not one.feed.is_connected)
            await one.feed.stop()
            own_redis.start()
            other.feed._reader._memory = reader.Memory(0, 0, 0)  # as if it had just begun, and had followed nothing
            await other.feed.start(other.deliver)
            await other.feed.ready("tests:news")
            publish(10)
            assert await other.take(1) == ["10"]
            await one.feed.start(one.deliver)
            assert await one.take(1) == ["gap"]
            assert await other.take(1) == ["gap"]
            await one.nothing_before(publish.broker, "news")
            await other.nothing_before(publish.broker, "news")

    run(scenario)


def test_last_survives_the_renewal_of_a_stream(own_redis):
    """It is of before its beginning."""

    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish(1, last=True)
            assert await one.take(1) == ["1"]
            own_redis.client().save()
            publish(2, last=True)
            assert await one.take(1) == ["2"]
            own_redis.kill()
            own_redis.start()
            assert await one.take(2) == ["gap", "1"]
            replay = await one.read("news")
            assert [bytes(one.data) for one in replay.publications] == [b"1"]
            assert replay.publications[0].position.offset == 0
            assert replay.position.offset == 1

    run(scenario)


def test_flush_is_a_gap_within_a_beat(own_redis):
    """Nothing need be published for it, and no connection breaks."""

    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            moment = now(own_redis.client())
            await one.follow("quiet")
            publish(1)
            position = (await one.next()).position
            assert (await one.read("other", Position.moment(moment))).is_complete
            own_redis.client().flushall()
            assert not (await one.read("other", Position.moment(moment))).is_complete
            assert await one.take(2) == ["gap", "gap"]
            assert not (await one.read("news", position)).is_complete
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_publication_right_after_a_flush_is_a_gap(own_redis):
    """Its stream is another."""

    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish(1)
            assert await one.take(1) == ["1"]
            client = own_redis.client()
            client.delete(META)
            publish(2)
            assert await one.take(1) == ["gap"]
            await one.nothing_before(publish.broker, "news")

    run(scenario)


# Redis's memory


def test_server_that_begins_trusts_what_others_watch_over(own_redis):
    """And nothing of before a silence."""

    async def scenario():
        client = own_redis.client()
        async with ear(own_redis.url) as one:
            await one.follow("news")
            begins = int(client.hget(MEMORY, "since"))
        client.hset(MEMORY, "beat", now(client) - 5000)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            assert (await one.read("news", Position.moment(begins))).is_complete
        silent_since = now(client)
        client.hset(MEMORY, "beat", silent_since - 10_500)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            assert not (await one.read("news", Position.moment(silent_since - 1))).is_complete
            assert (await one.read("news", Position.moment(now(client) + 1))).is_complete

    run(scenario)


def test_beats_go_on(own_redis):
    """While someone follows."""

    async def scenario():
        client = own_redis.client()
        async with ear(own_redis.url):
            for _ in range(3):
                await beat_after(client, now(client))
            since = client.hget(MEMORY, "since")
            await beat_after(client, now(client))
            assert client.hget(MEMORY, "since") == since

    run(scenario)


def test_older_memory_vouches_for_no_moment(own_redis):
    """Of a channel that has no stream nobody can say whether it had one."""

    async def scenario():
        client = own_redis.client()
        async with ear(own_redis.url) as one:
            await one.follow("quiet")
            moment = now(client)
            assert (await one.read("quiet", Position.moment(moment))).is_complete
            client.save()
            Publisher(own_redis.url)(1, channel="other")
            await beat_after(client, now(client))
            own_redis.kill()
            own_redis.start()
            assert await one.take(1) == ["gap"]
            assert not (await one.read("quiet", Position.moment(moment))).is_complete
            assert not (await one.read("other", Position.moment(moment))).is_complete

    run(scenario)


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "alone"])
def test_streams_of_an_older_redis_begin_anew(own_redis, is_watched):
    """What it lost of a channel without listeners nobody heard. So no position of before counts, not even the end."""

    async def scenario():
        publish, client = Publisher(own_redis.url), own_redis.client()
        async with ear(own_redis.url) as one:
            await until(lambda: one.feed.is_connected)
            publish(1, 2)
            end = (await one.read("news")).position
            client.save()
            await beat_after(client, now(client))
            publish(3)
            own_redis.kill()
            await until(lambda: not one.feed.is_connected)
            if not is_watched:
                await one.feed.stop()
            own_redis.start()
            client = own_redis.client()
            if not is_watched:  # for long
                client.hset(MEMORY, "beat", now(client) - 11_000)
                one = Ear(own_redis.url)
                await one.feed.start(one.deliver)
            await one.listen("news")
            replay = await one.read("news", end)
            assert not replay.is_complete
            assert replay.position.epoch != end.epoch
            assert (await one.read("news", replay.position)).is_complete
            begun = (await one.read("news")).position
            assert begun == replay.position
            publish(4)
            assert await one.take(2) == ["gap", "4"]
            await one.feed.stop()

    run(scenario)


def test_redis_that_stays_while_no_server_runs_is_trusted(own_redis):
    """With the positions that it gave; a moment of the time when nobody watched is none of them."""

    async def scenario():
        publish, client = Publisher(own_redis.url), own_redis.client()
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish(1)
            position = (await one.next()).position
        publish(2)
        client.hset(MEMORY, "beat", now(client) - 11_000)
        async with ear(own_redis.url) as one:
            await one.listen("news")
            replay = await one.read("news", position)
            assert [bytes(one.data) for one in replay.publications] == [b"2"]
            assert not (await one.read("news", Position.moment(position.ms))).is_complete

    run(scenario)


# Something is not heard


def test_broken_connection_is_no_gap(own_redis):
    """However often; what was published meanwhile is read, and all comes in order."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news", "quiet")
            publish, client = Publisher(own_redis.url), own_redis.client()
            stopped = threading.Event()

            def work():
                for number in range(400):
                    publish(number)
                    if number % 40 == 20:
                        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                    time.sleep(0.001)
                stopped.set()

            thread = threading.Thread(target=work)
            thread.start()
            assert await one.take(400) == [str(number) for number in range(400)]
            thread.join()
            await one.nothing_before(publish.broker, "news")
            await one.nothing_before(publish.broker, "quiet")

    run(scenario)


def test_outage_longer_than_the_history_is_a_gap(own_redis):
    async def scenario():
        publish = Publisher(own_redis.url)
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish(1)
            assert await one.take(1) == ["1"]
            await one.feed.stop()
            publish(*range(300), history=(10, 60))
            await one.feed.start(one.deliver)
            gap = await one.next()
            assert (gap.stale, gap.position.offset) == ("gap", 301)
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_hole_is_filled_when_the_next_is_heard(own_redis):
    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish, lose = Publisher(own_redis.url), Publisher(own_redis.url, Silent(own_redis.url))
            lose(0)
            publish(1)
            lose(*range(2, 150), history=(1000, 60))
            publish(150, 151, history=(1000, 60))
            assert await one.take(152) == [str(number) for number in range(152)]
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_loss_upon_which_nothing_follows_is_found_by_the_sweep(own_redis):
    """In a channel that had something, and in one that had nothing."""

    async def scenario():
        async with ear(own_redis.url, sweep_interval=0.2) as one:
            await one.follow("news", "quiet", *(f"c{number}" for number in range(100)))
            publish, lose = Publisher(own_redis.url), Publisher(own_redis.url, Silent(own_redis.url))
            publish(1)
            assert await one.take(1) == ["1"]
            lose(2, 3)
            assert await one.take(2) == ["2", "3"]
            lose(4, channel="quiet")
            assert await one.take(1) == ["4"]
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_sweep_finds_nothing_where_nothing_is_lost(own_redis, monkeypatch):
    """Nor does it disturb a channel that is busy."""

    async def scenario():
        async with ear(own_redis.url, sweep_interval=0.01) as one:
            await one.follow("news", "quiet")
            reads = []
            read = one.feed._reader.read
            monkeypatch.setattr(one.feed._reader, "read", lambda *args: reads.append(args) or read(*args))
            publish = Publisher(own_redis.url)
            for number in range(200):
                await asyncio.to_thread(publish, number)
            assert await one.take(200) == [str(number) for number in range(200)]
            assert len(reads) < 20

    run(scenario)


def test_message_without_a_position_is_dropped_and_logged(own_redis, caplog):
    """In a project's own channels everything has one."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            client = own_redis.client()
            for start in ("", ":0-1 ", "e:1 ", " ", "e:1-1"):
                client.publish("tests:0:c:news", start + '{"id":"1","channel":"news","namespace":"tests"}')
            await one.nothing_before(RedisBroker(own_redis.url), "news")

    run(scenario)
    assert caplog.text.count("without a position") == 5


def test_forged_message_does_not_stop_the_others(own_redis):
    """It is not in the stream, so it is not delivered."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish, client = Publisher(own_redis.url), own_redis.client()
            publish(1)
            assert await one.take(1) == ["1"]
            client.publish("tests:0:c:news", 'other:7-7 {"id":"1","channel":"news","namespace":"tests"}')
            await until(lambda: not one.feed._channels["tests:0:c:news"].follower.is_behind)
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_what_was_heard_and_is_not_kept_begins_a_stream_anew(own_redis):
    """A Redis that came back so little older that its memory does not show it."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish, lose = Publisher(own_redis.url), Publisher(own_redis.url, Silent(own_redis.url))
            publish(1)
            position = (await one.next()).position
            lose(2)
            lost = f'{position.epoch}:3-{position.ms + 5} {{"id":"3","channel":"news","namespace":"tests"}}'
            own_redis.client().publish("tests:0:c:news", lost)
            gap = await one.next()
            assert gap.stale == "gap"
            assert gap.position.epoch != position.epoch
            await one.nothing_before(publish.broker, "news")

    run(scenario)


def test_broken_connection_may_have_taken_what_no_stream_has(own_redis):
    """What came as in 2011: channels that had such publications are told."""

    async def scenario():
        one = Ear(own_redis.url)
        one.feed = RedisFeed(own_redis.url, namespace="tests", firehose="juggernaut")
        await one.feed.start(one.deliver)
        await one.follow("news", "quiet")
        client = own_redis.client()
        client.publish("juggernaut", '{"channels":["news"],"data":7}')
        assert await one.take(1) == ["7"]
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        gap = await one.next()
        assert (gap.stale, gap.channel) == ("gap", "news")
        await one.nothing_before(RedisBroker(own_redis.url), "news")
        await one.nothing_before(RedisBroker(own_redis.url), "quiet")
        await one.feed.stop()

    run(scenario)


EPOCH_3, EPOCH_5, EPOCH_9 = (Position("e", offset, 1000 + offset) for offset in (3, 5, 9))


@pytest.mark.parametrize(
    ("end", "before", "after", "agrees"),
    [
        (EPOCH_5, EPOCH_5, EPOCH_5, True),
        (EPOCH_5, EPOCH_3, EPOCH_9, True),  # it was read while more was heard
        (EPOCH_5, EPOCH_5, EPOCH_9, True),
        (EPOCH_9, EPOCH_5, EPOCH_5, False),
        (EPOCH_3, EPOCH_5, EPOCH_9, False),
        (EPOCH_5._replace(ms=7), EPOCH_5, EPOCH_5, False),
        (EPOCH_5._replace(epoch="other"), EPOCH_3, EPOCH_9, False),
        (None, Position.moment(1), EPOCH_3, True),
        (None, EPOCH_3, EPOCH_3, False),
        (EPOCH_3, Position.moment(1), Position.moment(1), False),
    ],
)
def test_sweep_knows_what_agrees(end, before, after, agrees):
    """Between two moments at which so much was heard."""
    assert feed._agrees(end, before, after) is agrees


# Reading


def test_questions_share_round_trips(own_redis):
    """Equal ones are asked once."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow(*(f"c{number}" for number in range(300)))
            client = own_redis.client()

            def calls():
                return client.info("commandstats")["cmdstat_evalsha"]["calls"]

            before = calls()
            await asyncio.gather(*(one.read(f"c{number % 300}") for number in range(3000)))
            assert 300 <= calls() - before < 310  # and a beat or two

    run(scenario)


def test_end_that_is_known_takes_no_round_trip(own_redis):
    """Five thousand who come back at once, and missed nothing."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            Publisher(own_redis.url)(1)
            position = (await one.next()).position
            own_redis.freeze()
            try:
                replay = await asyncio.wait_for(one.read("news", position), 1)
            finally:
                own_redis.thaw()
            assert (replay.is_complete, replay.publications, replay.position) == (True, (), position)

    run(scenario)


def test_reading_fails_while_redis_is_away(own_redis):
    """What waits, and what comes."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            own_redis.freeze()
            waiting = [asyncio.create_task(one.read("news")) for _ in range(3)]
            await asyncio.sleep(0)
            await until(lambda: not one.feed._reader._questions)
            own_redis.process.kill()
            for task in waiting:
                with pytest.raises(BrokerUnavailable):
                    await task
            await until(lambda: not one.feed.is_connected)
            with pytest.raises(BrokerUnavailable):
                await one.read("news")

    run(scenario)


def test_strange_entry_is_a_loss(own_redis):
    """Something else that writes into the project's streams does no other harm."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish, client = Publisher(own_redis.url), own_redis.client()
            publish(1, 2)
            first, second = (await one.next()).position, (await one.next()).position
            client.xadd(STREAM, {"id": "x", "payload": "{"}, id=f"3-{second.ms}")
            client.hset(META, "last", f"3-{second.ms}")
            replay = await one.read("news", first)
            assert (replay.is_complete, list(replay.publications)) == (False, [])

    run(scenario)


def test_hole_in_a_stream_is_a_loss(own_redis):
    """Somebody took an entry out."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            moment = Position.moment(now(own_redis.client()))
            Publisher(own_redis.url)(*range(1, 6))
            positions = [(await one.next()).position for _ in range(5)]
            own_redis.client().xdel(STREAM, f"3-{positions[2].ms}")
            for since in (moment, positions[0]):
                replay = await one.read("news", since)
                assert (replay.is_complete, list(replay.publications)) == (False, [])
            assert len((await one.read("news", positions[3])).publications) == 1

    run(scenario)


def test_batch_brings_its_script(own_redis):
    """Were it unknown to a part of it, that part would come late."""
    publish, client = Publisher(own_redis.url), own_redis.client()
    publish(1, 2, 3)
    client.script_flush()
    publish(4, 5, 6)
    assert "errorstat_NOSCRIPT" not in client.info("errorstats")


def test_forgotten_scripts_are_brought_again(own_redis):
    """SCRIPT FLUSH costs nobody anything: a batch keeps its order, and what is asked is answered in the end."""

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            publish, client = Publisher(own_redis.url), own_redis.client()
            for numbers in ((1,), (2, 3, 4), (5,)):
                client.script_flush()
                publish(*numbers)
            assert await one.take(5) == ["1", "2", "3", "4", "5"]
            client.script_flush()
            await until(lambda: client.info("commandstats")["cmdstat_eval"]["calls"] >= 7)
            await one.nothing_before(publish.broker, "news")

    run(scenario)


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


def test_redis_that_is_full_refuses(tmp_path):
    """That is no absence; who listens goes on listening."""
    with running_redis(tmp_path, "--maxmemory-policy", "noeviction") as server:

        async def scenario():
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

        run(scenario)


def test_replica_is_no_broker(own_redis, tmp_path_factory):
    """It takes nothing, and a push server does not hear there what others publish elsewhere."""
    with running_redis(tmp_path_factory.mktemp("replica"), "--replicaof", "127.0.0.1", str(own_redis.port)) as replica:
        publish = Publisher(replica.url)
        with pytest.raises(BrokerUnavailable, match="read only replica|read-only"):
            publish(1)
        others = [one for one in replica.client().client_list(_type="normal") if one["cmd"] != "client|list"]
        assert others == []  # what has this address may be another one next time

        async def scenario():
            deaf = RedisFeed(replica.url, namespace="tests")
            client = redis.asyncio.Redis.from_url(replica.url)
            with pytest.raises(redis.exceptions.ReadOnlyError):
                await deaf._reader.connect(client)
            await client.aclose()

        run(scenario)


def test_renewal_leaves_another_epoch_alone(own_redis, caplog):
    """Two servers that notice at once begin one stream, not two."""
    caplog.set_level(logging.INFO)

    async def scenario():
        async with ear(own_redis.url) as one:
            await one.follow("news")
            Publisher(own_redis.url)(1)
            position = (await one.next()).position
            await one.feed._reader.renew("tests:news", position)
            epoch = own_redis.client().hget(META, "epoch")
            await one.feed._reader.renew("tests:news", position)
            assert own_redis.client().hget(META, "epoch") == epoch != position.epoch
            assert await one.take(1) == ["gap"]

    run(scenario)
