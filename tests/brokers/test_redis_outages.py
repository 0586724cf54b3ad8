"""A real redis-server that breaks, forgets and comes back older than it was, and what push servers make of it."""

from __future__ import annotations

import pytest

from django_jugpush.brokers.redis import reader
from django_jugpush.core.positions import Position
from tests.brokers.ear import META, Ear, Publisher, asynchronous, ear, now, until
from tests.redis_server import running_redis

MEMORY = "tests:0:memory"

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def durable_redis(tmp_path):
    with running_redis(tmp_path, *DURABLE) as server:
        yield server


def beats(client):
    return int(client.hget(MEMORY, "beat") or 0)


async def beat_after(client, moment):
    await until(lambda: beats(client) > moment)


# Redis goes and comes back


@pytest.mark.parametrize("how", ["kill", "stop"])
@asynchronous
async def test_restart_that_keeps_the_data_loses_nothing(durable_redis, how):
    """What is published before anyone hears again is heard late; and nobody is told that anything is stale."""
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


@asynchronous
async def test_restart_without_data_is_a_gap(own_redis):
    """Once in each channel, also where nothing was ever published, for something may have been."""
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


@pytest.mark.parametrize("published_meanwhile", [0, 1, 2, 5])
@asynchronous
async def test_redis_that_comes_back_older_is_a_gap(own_redis, published_meanwhile):
    """It gives its offsets again; whoever stands before them is told too, since it lacks what was at them first."""
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


@asynchronous
async def test_who_did_not_hear_what_is_lost_is_told_by_who_did(own_redis):
    """At once, though its own position is still there."""
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
        other.feed._reader._memory = reader.Memory(0, 0, 0, 1)  # as if it had just begun, and had followed nothing
        await other.feed.start(other.deliver)
        await other.feed.ready("tests:news")
        publish(10)
        assert await other.take(1) == ["10"]
        await one.feed.start(one.deliver)
        assert await one.take(1) == ["gap"]
        assert await other.take(1) == ["gap"]
        await one.nothing_before(publish.broker, "news")
        await other.nothing_before(publish.broker, "news")


@asynchronous
async def test_last_survives_the_renewal_of_a_stream(own_redis):
    """It is of before its beginning."""
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


@asynchronous
async def test_flush_is_a_gap_within_a_beat(own_redis):
    """Nothing need be published for it, and no connection breaks."""
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


@asynchronous
async def test_publication_right_after_a_flush_is_a_gap(own_redis):
    """Its stream is another."""
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


# Redis's memory


@asynchronous
async def test_server_that_begins_trusts_what_others_watch_over(own_redis):
    """And nothing of before a silence."""
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


@asynchronous
async def test_server_that_begins_while_redis_is_full_hears_all_the_same(tmp_path):
    """It can leave no beat, so it vouches for nothing before it can."""
    with running_redis(tmp_path, "--maxmemory-policy", "noeviction") as server:
        client = server.client()
        client.config_set("maxmemory", 1)
        async with ear(server.url) as one:
            await one.listen("news")
            assert not (await one.read("news", Position.moment(now(client)))).is_complete
            client.config_set("maxmemory", 0)
            await beat_after(client, now(client))
            assert (await one.read("news", Position.moment(now(client)))).is_complete


@asynchronous
async def test_beats_go_on(own_redis):
    """While someone follows."""
    client = own_redis.client()
    async with ear(own_redis.url):
        for _ in range(3):
            await beat_after(client, now(client))
        since = client.hget(MEMORY, "since")
        await beat_after(client, now(client))
        assert client.hget(MEMORY, "since") == since


@asynchronous
async def test_servers_count_each_other(own_redis, monkeypatch):
    """Those that are there, and those that were lately: an empty Redis knows of none."""
    monkeypatch.setattr(reader, "SILENCE", 2.0)
    async with ear(own_redis.url) as one, ear(own_redis.url, "elsewhere"):
        async with ear(own_redis.url) as other:
            await until(lambda: (one.feed.servers, other.feed.servers) == (2, 2))
            client = own_redis.client()
            client.flushall()
            counts = set()

            def is_long_ago():
                counts.update([one.feed.servers, other.feed.servers])
                return beats(client) > flushed + 10 * reader.BEAT * 1000

            flushed = now(client)
            await until(is_long_ago)
            assert counts == {2}
            # One that was killed says nothing; one that stops does.
            client.hset(MEMORY, "server:killed", now(client))
        assert {key for key in client.hkeys(MEMORY) if key.startswith("server:")} == {
            "server:killed",
            f"server:{one.feed._reader._id}",
        }
        await until(lambda: one.feed.servers == 1)
        assert not client.hexists(MEMORY, "server:killed")


@asynchronous
async def test_older_memory_vouches_for_no_moment(own_redis):
    """Of a channel that has no stream nobody can say whether it had one."""
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


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "alone"])
@asynchronous
async def test_streams_of_an_older_redis_begin_anew(own_redis, is_watched):
    """What it lost of a channel without listeners nobody heard. So no position of before counts, not even the end."""
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


@asynchronous
async def test_redis_that_stays_while_no_server_runs_is_trusted(own_redis):
    """With the positions that it gave; a moment of the time when nobody watched is none of them."""
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
