"""What clients do is told to programs of 2011, once for each change."""

from __future__ import annotations

import asyncio
import json

import pytest

from django_jugpush.brokers import juggernaut2011
from django_jugpush.brokers.juggernaut2011 import Juggernaut2011Notices
from django_jugpush.core.notices import Notice
from tests.redis_server import running_redis

CLIENT = "client-0123456789"
QUERY = f"protocol=1&client={CLIENT}"


class Listener:
    """A program of 2011."""

    def __init__(self, client):
        self.pubsub = client.pubsub(ignore_subscribe_messages=True)
        channels = ["juggernaut:subscribe", "juggernaut:unsubscribe", "juggernaut:custom", "marker"]
        self.pubsub.subscribe(*channels)
        for _ in channels:
            assert self.pubsub.get_message(timeout=10) is None
        self.client = client

    def next(self):
        """Return the event and its payload as text."""
        while (message := self.pubsub.get_message(timeout=10)) is None:
            pass
        return message["channel"].removeprefix("juggernaut:"), message["data"]

    def nothing(self):
        """Assert that nothing has come."""
        self.client.publish("marker", "")
        assert self.next() == ("marker", "")


@pytest.fixture
def listener(redis_server):
    with redis_server.client() as client:
        yield Listener(client)


def test_subscribing_and_unsubscribing_are_told_once(served, listener):
    """In the words and the order of keys of 2011."""
    with served.peer(query=QUERY) as peer:
        peer.subscribe("open:a")
        assert listener.next() == ("subscribe", f'{{"channel":"open:a","session_id":"{CLIENT}"}}')
        peer.subscribe("open:a")
        peer.subscribe("secret")
        peer.send(type="unsubscribe", channel="open:a")
        assert listener.next() == ("unsubscribe", f'{{"channel":"open:a","session_id":"{CLIENT}"}}')
        peer.send(type="unsubscribe", channel="open:a")
    listener.nothing()


def test_meta_is_told_as_it_is_at_the_moment(served, listener):
    with served.peer(query=QUERY) as peer:
        peer.send(type="meta", data={"name": "Ann", "tags": [1]})
        peer.subscribe("open:a")
        peer.send(type="meta", data="text")
        peer.send(type="unsubscribe", channel="open:a")
        expected = f'{{"channel":"open:a","meta":{{"name":"Ann","tags":[1]}},"session_id":"{CLIENT}"}}'
        assert listener.next() == ("subscribe", expected)
        assert json.loads(listener.next()[1])["meta"] == "text"


def test_disconnecting_client_leaves_each_channel_once(served, listener):
    """In the order in which it came to them, whether it says goodbye or not."""
    with served.peer(query=QUERY) as peer:
        for channel in ("open:a", "open:b"):
            peer.subscribe(channel)
            listener.next()
        peer.socket.socket.close()  # no close frame, as after a crash
    told = [listener.next() for _ in range(2)]
    assert [(event, json.loads(text)["channel"]) for event, text in told] == [
        ("unsubscribe", "open:a"),
        ("unsubscribe", "open:b"),
    ]
    listener.nothing()


def test_silent_client_leaves_as_well(serve, listener):
    served = serve(ping_interval=0.1)
    with served.peer(query=QUERY) as peer:
        peer.subscribe("open:a")
        assert [listener.next()[0] for _ in range(2)] == ["subscribe", "unsubscribe"]


def test_stop_of_the_server_is_a_leave_of_everybody(serve, listener):
    served = serve()
    with served.peer(query=QUERY) as one, served.peer() as two:
        one.subscribe("open:a")
        two.subscribe("open:a")
        assert [listener.next()[0] for _ in range(2)] == ["subscribe"] * 2
        served.run(served.push.stop())
        assert [listener.next()[0] for _ in range(2)] == ["unsubscribe"] * 2
    listener.nothing()


def test_client_that_is_back_before_its_old_connection_broke_never_left(served, listener):
    """A roster would take it offline otherwise, for as long as it stays."""
    with served.peer(query=QUERY) as new:
        with served.peer(query=QUERY) as old:
            old.subscribe("open:a")
            assert listener.next()[0] == "subscribe"
            new.subscribe("open:a")
        while served.call(len, served.push.hub) > 1:
            pass
        new.subscribe("open:marker")
        assert json.loads(listener.next()[1])["channel"] == "open:marker"
        new.send(type="unsubscribe", channel="open:a")
        assert listener.next()[0] == "unsubscribe"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"user_id": 1, "name": "Eve"}, {"user_id": "7", "name": "Eve"}),
        ({"user_id": 7}, {"user_id": 7}),
        ({"name": "Eve"}, {"user_id": "7", "name": "Eve"}),
        ([1], [1]),
    ],
    ids=str,
)
def test_user_in_meta_is_the_verified_one(served, listener, said, told):
    """Rosters of 2011 believe it."""
    with served.peer() as peer:
        peer.subscribe("room", token="room/7")
        assert json.loads(listener.next()[1])["meta"] == {"user_id": "7"}
        peer.send(type="meta", data=said)
        peer.send(type="event", data=1)
        assert json.loads(listener.next()[1])["meta"] == told


def test_user_in_the_meta_of_a_stranger_is_left_out(served, listener):
    with served.peer() as peer:
        peer.send(type="meta", data={"user_id": 1, "name": "Eve"})
        peer.subscribe("open:a")
        assert json.loads(listener.next()[1])["meta"] == {"name": "Eve"}


def test_event_is_told_in_the_words_of_2011(served, listener):
    with served.peer(query=QUERY) as peer:
        peer.subscribe("room", token="room")
        peer.send(type="event", data={"hello": [1, 2]})
        peer.send(type="event")
        assert listener.next()[0] == "subscribe"
        assert listener.next() == ("custom", f'{{"session_id":"{CLIENT}","data":{{"hello":[1,2]}}}}')
        assert listener.next() == ("custom", f'{{"session_id":"{CLIENT}"}}')


# The way to Redis


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 20))


async def logged(caplog):
    while not caplog.records:  # noqa: ASYNC110 - a log sets no event
        await asyncio.sleep(0.01)


def notice(number):
    return Notice(kind="custom", client=CLIENT, data=number)


def test_notices_wait_while_redis_is_away(tmp_path, caplog, monkeypatch):
    with running_redis(tmp_path) as own_redis:
        own_redis.kill()

        async def scenario():
            monkeypatch.setattr(juggernaut2011, "STOP_TIMEOUT", 10)
            notices = Juggernaut2011Notices(own_redis.url)
            await notices.start()
            for number in range(3):
                assert notices.take(notice(number))
            await logged(caplog)
            await asyncio.to_thread(own_redis.start)
            await notices.stop()
            with own_redis.client() as client:
                assert client.info("commandstats")["cmdstat_publish"]["calls"] == 3

        run(scenario)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


def test_notices_are_bounded_and_the_lost_are_counted(redis_server, monkeypatch, caplog):
    monkeypatch.setattr(juggernaut2011, "MAX_WAITING", 3)

    async def scenario():
        notices = Juggernaut2011Notices(redis_server.url)
        assert [notices.take(notice(number)) for number in range(5)] == [True, True, True, False, False]
        await notices.start()
        await notices.stop()

    run(scenario)
    assert "2 notices" in caplog.text


def test_last_notices_are_sent_before_the_stop(redis_server, listener):
    async def scenario():
        notices = Juggernaut2011Notices(redis_server.url)
        await notices.start()
        for number in range(1200):
            notices.take(notice(number))
        await notices.stop()

    run(scenario)
    assert [json.loads(listener.next()[1])["data"] for _ in range(1200)] == list(range(1200))


def test_stop_does_not_wait_for_a_redis_that_is_away(monkeypatch):
    monkeypatch.setattr(juggernaut2011, "STOP_TIMEOUT", 0.05)

    async def scenario():
        before = asyncio.all_tasks()
        notices = Juggernaut2011Notices("redis://127.0.0.1:1/0")
        await notices.start()
        notices.take(notice(1))
        async with asyncio.timeout(2):
            await notices.stop()
        assert asyncio.all_tasks() == before

    run(scenario)


def test_refusal_is_logged_without_the_data(tmp_path, caplog, monkeypatch):
    """A Redis user that may not publish there."""
    monkeypatch.setattr(juggernaut2011, "STOP_TIMEOUT", 1.0)
    with running_redis(tmp_path) as own_redis:
        with own_redis.client() as client:
            client.execute_command("ACL", "SETUSER", "half", "on", ">pw", "resetchannels", "-@all", "+ping", "+client")

        async def scenario():
            notices = Juggernaut2011Notices(own_redis.url.replace("//", "//half:pw@"))
            await notices.start()
            notices.take(Notice(kind="custom", client=CLIENT, data="private"))
            await logged(caplog)
            await notices.stop()

        run(scenario)
    assert "private" not in caplog.text
    assert "no permissions" in caplog.text
