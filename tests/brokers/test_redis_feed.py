"""What a push server hears of a real redis-server, and what it finds out by asking, where something is not heard."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from django_jugpush.brokers.redis import RedisBroker, RedisFeed, feed
from django_jugpush.brokers.redis.names import ChannelNames
from django_jugpush.core.positions import Position
from django_jugpush.exceptions import BrokerUnavailable
from tests.brokers.ear import META, STREAM, Ear, Publisher, asynchronous, ear, now, until


class Silent(RedisBroker):
    """Keeps, but is not heard."""

    def __init__(self, url):
        super().__init__(url)
        of = self.names.of
        self.names.of = lambda full_name: ChannelNames("nowhere", *of(full_name)[1:])


# Something is not heard


@asynchronous
async def test_broken_connection_is_no_gap(own_redis, caplog):
    """However often; what was published meanwhile is read, and all comes in order."""
    async with ear(own_redis.url) as one:
        await one.follow("news", "quiet")
        publish, client = Publisher(own_redis.url), own_redis.client()

        def work():
            for number in range(400):
                publish(number)
                if number % 40 == 20:
                    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                time.sleep(0.001)  # or all would be published before the first connection breaks

        thread = threading.Thread(target=work)
        thread.start()
        assert await one.take(400) == [str(number) for number in range(400)]
        thread.join()
        await one.nothing_before(publish.broker, "news")
        await one.nothing_before(publish.broker, "quiet")
    assert not [record for record in caplog.records if record.exc_info]


@asynchronous
async def test_quiet_redis_is_not_taken_for_a_lost_one(own_redis, caplog):
    """Where nobody publishes, the push server asks whether Redis is there, and is content with the answer."""
    client = own_redis.client()

    def pings():
        return client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0)

    async with ear(own_redis.url, ping_interval=0.02) as one:
        await one.follow("news")
        before = pings()
        await until(lambda: pings() >= before + 5)
        assert one.feed.is_connected
    assert not caplog.messages


@asynchronous
async def test_outage_longer_than_the_history_is_a_gap(own_redis):
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


@asynchronous
async def test_hole_is_filled_when_the_next_is_heard(own_redis):
    async with ear(own_redis.url) as one:
        await one.follow("news")
        publish, lose = Publisher(own_redis.url), Publisher(own_redis.url, Silent(own_redis.url))
        lose(0)
        publish(1)
        lose(*range(2, 150), history=(1000, 60))
        publish(150, 151, history=(1000, 60))
        assert await one.take(152) == [str(number) for number in range(152)]
        await one.nothing_before(publish.broker, "news")


@asynchronous
async def test_loss_upon_which_nothing_follows_is_found_by_the_sweep(own_redis):
    """In a channel that had something, and in one that had nothing."""
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


@asynchronous
async def test_sweep_finds_nothing_where_nothing_is_lost(own_redis, monkeypatch):
    """Nor does it disturb a channel that is busy."""
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


@asynchronous
async def test_message_without_a_position_is_dropped_and_logged(own_redis, caplog):
    """In a project's own channels everything has one."""
    async with ear(own_redis.url) as one:
        await one.follow("news")
        client = own_redis.client()
        for start in ("", ":0-1 ", "e:1 ", " ", "e:1-1"):
            client.publish("tests:0:c:news", start + '{"id":"1","channel":"news","namespace":"tests"}')
        await one.nothing_before(RedisBroker(own_redis.url), "news")
    assert caplog.text.count("without a position") == 5


@asynchronous
async def test_forged_message_does_not_stop_the_others(own_redis):
    """It is not in the stream, so it is not delivered."""
    async with ear(own_redis.url) as one:
        await one.follow("news")
        publish, client = Publisher(own_redis.url), own_redis.client()
        publish(1)
        assert await one.take(1) == ["1"]
        client.publish("tests:0:c:news", 'other:7-7 {"id":"1","channel":"news","namespace":"tests"}')
        await until(lambda: not one.feed._channels["tests:0:c:news"].follower.is_behind)
        await one.nothing_before(publish.broker, "news")


@asynchronous
async def test_what_was_heard_and_is_not_kept_begins_a_stream_anew(own_redis):
    """A Redis that came back so little older that its memory does not show it."""
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


@asynchronous
async def test_broken_connection_may_have_taken_what_no_stream_has(own_redis):
    """What came as in 2011: channels that had such publications are told."""
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


@asynchronous
async def test_questions_share_round_trips(own_redis):
    """Equal ones are asked once."""
    async with ear(own_redis.url) as one:
        await one.follow(*(f"c{number}" for number in range(300)))
        client = own_redis.client()

        def calls():
            return client.info("commandstats")["cmdstat_evalsha"]["calls"]

        before = calls()
        await asyncio.gather(*(one.read(f"c{number % 300}") for number in range(3000)))
        assert 300 <= calls() - before < 310  # and a beat or two


@asynchronous
async def test_end_that_is_known_takes_no_round_trip(own_redis):
    """Five thousand who come back at once, and missed nothing."""
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


@asynchronous
async def test_reading_fails_while_redis_is_away(own_redis):
    """What waits, and what comes."""
    async with ear(own_redis.url) as one:
        await one.follow("news")
        own_redis.freeze()
        waiting = [asyncio.create_task(one.read("news")) for _ in range(3)]
        await asyncio.sleep(0)
        await until(lambda: not one.feed._reader._questions)
        waiting.append(asyncio.create_task(one.read("other")))  # which is not asked yet
        await asyncio.sleep(0)
        own_redis.process.kill()
        for task in waiting:
            with pytest.raises(BrokerUnavailable):
                await task
        await until(lambda: not one.feed.is_connected)
        assert not one.feed._reader._questions
        with pytest.raises(BrokerUnavailable):
            await one.read("news")


@asynchronous
async def test_who_waits_no_more_takes_no_answer_from_others(own_redis):
    """They asked the same."""
    async with ear(own_redis.url) as one:
        await one.follow("news")
        own_redis.freeze()
        impatient, patient = (asyncio.create_task(one.read("other")) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        own_redis.thaw()
        assert (await patient).is_complete


@asynchronous
async def test_strange_entry_is_a_loss(own_redis):
    """Something else that writes into the project's streams does no other harm."""
    async with ear(own_redis.url) as one:
        await one.follow("news")
        publish, client = Publisher(own_redis.url), own_redis.client()
        publish(1, 2)
        first, second = (await one.next()).position, (await one.next()).position
        client.xadd(STREAM, {"id": "x", "payload": "{"}, id=f"3-{second.ms}")
        client.hset(META, "last", f"3-{second.ms}")
        replay = await one.read("news", first)
        assert (replay.is_complete, list(replay.publications)) == (False, [])


@asynchronous
async def test_hole_in_a_stream_is_a_loss(own_redis):
    """Somebody took an entry out."""
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


def test_batch_brings_its_script(own_redis):
    """Were it unknown to a part of it, that part would come late."""
    publish, client = Publisher(own_redis.url), own_redis.client()
    publish(*range(120))
    client.script_flush()
    publish(*range(120))
    assert "errorstat_NOSCRIPT" not in client.info("errorstats")


@asynchronous
async def test_channel_that_redis_does_not_read_concerns_no_other(own_redis, caplog):
    """It is told of a gap, and what it missed when it can be read again."""
    async with ear(own_redis.url, refused_pause=0.1) as one:
        await one.follow("broken", "news")
        publish, client = Publisher(own_redis.url), own_redis.client()
        publish(1, channel="broken")
        assert await one.take(1) == ["1"]
        Publisher(own_redis.url, Silent(own_redis.url))(2, channel="broken")
        stream = one.feed.names.of("tests:broken").stream
        client.rename(stream, "aside")
        client.set(stream, "no stream")
        client.client_kill_filter(_type="pubsub")
        assert await one.take(1) == ["gap"]
        connections = client.info("stats")["total_connections_received"]
        for number in range(5):
            await one.listen("news")
            publish(number)
            assert await one.take(1) == [str(number)]
        assert client.info("stats")["total_connections_received"] == connections
        client.rename("aside", stream)
        assert await one.take(1) == ["2"]
        assert caplog.text.count("cannot be read") == 1


@asynchronous
async def test_forgotten_scripts_are_brought_again(own_redis):
    """SCRIPT FLUSH costs nobody anything: a batch keeps its order, and what is asked is answered in the end."""
    async with ear(own_redis.url) as one:
        await one.follow("news")
        publish, client = Publisher(own_redis.url), own_redis.client()
        for numbers in ((0,), range(1, 121), (121,)):
            client.script_flush()
            publish(*numbers)
        assert await one.take(122) == [str(number) for number in range(122)]
        client.script_flush()
        await until(lambda: client.info("commandstats")["cmdstat_eval"]["calls"] >= 7)
        await one.nothing_before(publish.broker, "news")


@asynchronous
async def test_renewal_leaves_another_epoch_alone(own_redis, caplog):
    """Two servers that notice at once begin one stream, not two."""
    caplog.set_level(logging.INFO)
    async with ear(own_redis.url) as one:
        await one.follow("news")
        Publisher(own_redis.url)(1)
        position = (await one.next()).position
        await one.feed._reader.renew("tests:news", position)
        epoch = own_redis.client().hget(META, "epoch")
        await one.feed._reader.renew("tests:news", position)
        assert own_redis.client().hget(META, "epoch") == epoch != position.epoch
        assert await one.take(1) == ["gap"]


@asynchronous
async def test_moment_from_before_all_that_is_known_of_quiet_channels_is_not_recovered(own_redis):
    """A stream of before may have expired, name and all: without a trace, or with another one in its place."""
    client = own_redis.client()
    day, at = 86_400_000, now(client)
    client.hset("tests:0:memory", mapping={"since": at - 40 * day, "beat": at, "back": 0, "run": ""})
    async with ear(own_redis.url) as one:
        await one.listen("news")
        for _ in ("none", "another"):
            for days, is_known in ((29, True), (30, False), (31, False), (39, False)):
                assert (await one.read("news", Position.moment(at - days * day))).is_complete is is_known, days
            Publisher(own_redis.url)(1)
