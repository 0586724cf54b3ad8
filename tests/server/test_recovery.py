"""Clients that come back get what they missed, whichever broker has kept it."""

from __future__ import annotations

import json
import secrets
import socket
import time

import msgspec
import pytest

from django_jugpush.brokers.local import LocalFeed
from django_jugpush.brokers.redis import RedisBroker, RedisFeed
from django_jugpush.core import session
from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.grants import Grant
from django_jugpush.core.history import PAGE_LENGTH
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from tests.waiting import wait_until

from .conftest import NAMESPACE, Served

CHANNEL = "open:news"


@pytest.fixture(params=["local", "redis"])
def served(request):
    """A push server that keeps 300 publications of a channel, in its own memory or in a Redis."""
    if request.param == "local":
        served = Served(feed=LocalFeed(history=(300, 60)), max_pending=200_000)
        served.send = lambda publications: served.call(served.feed.receive, publications)
    else:
        url = request.getfixturevalue("redis_server").url
        served = Served(feed=RedisFeed(url, namespace=NAMESPACE), max_pending=200_000)
        broker = RedisBroker(url, history=(300, 60))
        request.addfinalizer(broker.close)
        served.send = broker.publish
        with request.getfixturevalue("redis_server").client() as client:
            client.flushall()
    served.start()
    served.run(served.push.start())
    wait_until(lambda: served.push.is_connected)
    yield served
    served.stop()


def await_tick():
    """Wait until the clock of the streams, which counts milliseconds, has gone on."""
    before = int(time.time() * 1000)
    while int(time.time() * 1000) == before:
        time.sleep(0.0005)


def publish(served, *values, channel=CHANNEL, **more):
    """Publish values, or bytes as they are."""
    served.send(
        [
            Publication(id=secrets.token_hex(8), channel=channel, namespace=NAMESPACE, data=_raw(value), **more)
            for value in values
        ]
    )


def _raw(value):
    return msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode())


def numbers(answer):
    return [one["data"] for one in answer.get("publications", [])]


def alive(peer):
    """Tell whether the server answers, and that nothing came before the answer."""
    peer.send(type="ping")
    return peer.receive() == {"type": "pong"}


def test_client_gets_exactly_what_it_missed(served):
    """In the answer, in order; then it goes on live."""
    with served.peer() as peer:
        start = peer.subscribe(CHANNEL)
        assert "recovered" not in start and "publications" not in start
        publish(served, 1, 2)
        assert peer.receive()["data"] == 1
        position = peer.receive()["position"]
    publish(served, 3, 4, 5)
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=position)
        assert answer["recovered"] is True
        assert numbers(answer) == [3, 4, 5]
        assert answer["position"] == answer["publications"][-1]["position"]
        publish(served, 6)
        assert peer.receive()["data"] == 6
        assert alive(peer)


def test_client_that_missed_nothing_is_told_so(served):
    """Whether anything was ever published, or not."""
    with served.peer() as peer:
        quiet = peer.subscribe(CHANNEL)["position"]
        assert Position.parse(quiet).is_moment
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=quiet)
        assert (answer["recovered"], numbers(answer)) == (True, [])
        publish(served, 1)
        position = peer.receive()["position"]
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=position)
        assert (answer["recovered"], numbers(answer), answer["position"]) == (True, [], position)
    with served.peer() as peer:
        assert numbers(peer.subscribe(CHANNEL, since=quiet)) == [1]


@pytest.mark.parametrize("since", ["", "nonsense", "another:1-1", ":0-1"])
def test_client_of_which_that_is_not_known_is_told_of_the_gap(served, since):
    """Nothing is recovered in part; it knows where it stands, and goes on."""
    publish(served, 1, 2)
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=since)
        assert answer["recovered"] is False
        assert answer["spread"] == 20
        assert numbers(answer) == []
        publish(served, 3)
        assert peer.receive()["data"] == 3
    with served.peer() as peer:
        assert numbers(peer.subscribe(CHANNEL, since=answer["position"])) == [3]


def test_long_absence_is_made_good_page_by_page(served):
    """Live traffic begins after the last page; what is published meanwhile is on it."""
    publish(served, 0)
    with served.peer() as peer:
        position = peer.subscribe(CHANNEL)["position"]
    publish(served, *range(1, 251))
    got = []
    with served.peer() as peer:
        while True:
            answer = peer.subscribe(CHANNEL, since=position)
            assert answer["recovered"] is True
            got += numbers(answer)
            position = answer["position"]
            if not answer.get("more"):
                break
            assert len(numbers(answer)) == PAGE_LENGTH
            publish(served, 251) if len(got) == PAGE_LENGTH else None
            assert alive(peer)
        publish(served, 252)
        assert peer.receive()["data"] == 252
    assert got == list(range(1, 252))


def test_more_than_is_kept_is_a_gap(served):
    publish(served, 0)
    with served.peer() as peer:
        position = peer.subscribe(CHANNEL)["position"]
    publish(served, *range(1, 802))  # Redis forgets a hundred at a time
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=position)
        assert (answer["recovered"], numbers(answer)) == (False, [])


def test_page_gets_what_was_published_since_it_was_rendered(served):
    """And nothing of what was before."""
    publish(served, 1)
    await_tick()
    moment = Position.moment(int(time.time() * 1000))
    publish(served, 2, 3)
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=str(moment))
        assert (answer["recovered"], numbers(answer)) == (True, [2, 3])
        publish(served, 4)
        assert peer.receive()["data"] == 4


def test_what_a_client_caused_is_not_replayed_to_it(served):
    """By the tab's id, which it keeps; another gets it, and nobody takes it for a gap."""
    author, other = "a" * 16, "b" * 16
    moment = str(Position.moment(int(time.time() * 1000)))
    publish(served, 1)
    publish(served, 2, exclude=(author,))
    for client, expected in ((author, [1]), (other, [1, 2])):
        with served.peer(query=f"protocol=1&client={client}") as peer:
            answer = peer.subscribe(CHANNEL, since=moment)
            assert (answer["recovered"], numbers(answer)) == (True, expected)
            assert answer["position"].split(":")[1].startswith("2-")
            assert peer.subscribe("open:other")["type"] == "subscribed"


def test_newest_of_a_channel_that_keeps_it_is_given_to_each_new_subscriber(served):
    """Also to a page that was rendered later, and to one with a gap; not to one that has it."""
    publish(served, 1, 2, last=True, history=(0, 1))
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL)
        assert numbers(answer) == [2] and "recovered" not in answer
        position = answer["position"]
    with served.peer() as peer:
        assert numbers(peer.subscribe(CHANNEL, since=position)) == []
    with served.peer() as peer:
        later = Position.moment(int(time.time() * 1000) + 5)
        answer = peer.subscribe(CHANNEL, since=str(later))
        assert (answer["recovered"], numbers(answer)) == (True, [2])
    publish(served, 3, last=True, history=(0, 1))
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=position)
        assert (answer["recovered"], numbers(answer)) == (False, [3])
    publish(served, None, last=True, history=(0, 1))
    with served.peer() as peer:
        assert numbers(peer.subscribe(CHANNEL)) == []


def test_rate_holds_and_the_newest_arrives(served):
    """Live and over a reconnect; what was left out counts as delivered."""
    with served.peer() as peer:
        peer.subscribe(CHANNEL)
        began = time.monotonic()
        publish(served, *range(1, 100), max_rate=5)
        first, second = peer.receive(), peer.receive()
        assert (first["data"], second["data"]) == (1, 99)
        assert time.monotonic() - began >= 0.2
        publish(served, 100, max_rate=5)
        assert alive(peer)
        with served.peer() as another:
            answer = another.subscribe(CHANNEL, since=first["position"])
            assert (answer["recovered"], numbers(answer)) == (True, [100])
            assert peer.receive()["data"] == 100  # when its time has come
            assert alive(another)  # which has it


@pytest.mark.parametrize("served", ["local"], indirect=True)
def test_stopped_server_waits_for_nobodys_time(served):
    """It may be started again on another event loop, whose timers are others."""
    with served.peer() as peer:
        peer.subscribe(CHANNEL)
        publish(served, 1, 2, max_rate=0.5)
        assert peer.receive()["data"] == 1
        assert served.push._fan_out._timer
    served.run(served.push.stop())
    assert served.push._fan_out._timer is None


def test_nothing_from_before_the_right_began_is_given(served, monkeypatch):
    """A position from before it is a gap; a position may be older, where nothing has come since."""
    publish(served, 1)
    old = served.run(served.feed.read(f"{NAMESPACE}:{CHANNEL}", None)).position
    await_tick()
    began = time.time()

    def authorize(channel, token):
        return Grant(channel=channel, namespace=NAMESPACE, history_from=began)

    monkeypatch.setattr(served.push._subscribing, "_authorize", authorize)
    with served.peer() as peer:
        assert peer.subscribe(CHANNEL, since=str(old))["recovered"] is True
    publish(served, 2)
    with served.peer() as peer:
        assert numbers(peer.subscribe(CHANNEL, since=str(old))) == [2]
    monkeypatch.setattr(
        served.push._subscribing,
        "_authorize",
        lambda channel, token: Grant(channel=channel, namespace=NAMESPACE, history_from=time.time() + 1),
    )
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=str(old))
        assert (answer["recovered"], numbers(answer)) == (False, [])


def test_slow_reader_is_sent_away_and_recovers(served):
    """Memory is bounded; nothing is skipped in silence."""
    with served.peer(max_queue=1) as peer:
        position = peer.subscribe(CHANNEL)["position"]
        for number in range(250):
            publish(served, [number, "x" * 50_000])
        words, code = peer.rest()
        assert code == DisconnectCode.SLOW
        assert DisconnectCode.SLOW.reconnect
    got = [word["data"][0] for word in words if "data" in word]
    position = next((word["position"] for word in reversed(words) if "data" in word), position)
    with served.peer() as peer:
        while True:
            answer = peer.subscribe(CHANNEL, since=position)
            assert answer["recovered"] is True
            got += [data[0] for data in numbers(answer)]
            position = answer["position"]
            if not answer.get("more"):
                break
    assert got == list(range(250))


@pytest.mark.parametrize("served", ["redis"], indirect=True)
def test_subscribing_leaves_nothing_in_redis(served, redis_server):
    """Names cost nothing to make up."""
    with redis_server.client() as client:
        before = client.dbsize()
        for peer_number in range(3):
            with served.peer() as peer:
                for number in range(100):
                    since = str(Position.moment(int(time.time() * 1000)))
                    assert peer.subscribe(f"open:{peer_number}-{number}", since=since)["recovered"]
        assert client.dbsize() == before


@pytest.mark.parametrize("served", ["local"], indirect=True)
def test_slow_link_gets_the_history_of_many_channels(served):
    """One page after the other, on one connection: more at once would be more than the server keeps for a client."""
    channels = [f"open:{number}" for number in range(12)]
    for channel in channels:
        publish(served, *([number, "x" * 30_000] for number in range(5)), channel=channel)
    assert 4 * served.config.max_pending < 12 * 5 * 30_000
    served.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # of the connections that it accepts
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    link.connect(("127.0.0.1", served.port))
    got = {channel: [] for channel in channels}
    since = dict.fromkeys(channels, str(Position.moment(int(time.time() * 1000) - 60_000)))
    served.call(served.feed._streams.__setattr__, "is_whole_since", 0)
    with served.peer(sock=link, max_queue=1) as peer:
        for channel in channels:
            peer.send(type="subscribe", channel=channel, since=since[channel])
        while any(len(numbers) < 5 for numbers in got.values()):
            time.sleep(0.005)  # so long a link takes
            word = peer.receive()
            assert word["type"] == "subscribed" and word["recovered"], word
            got[word["channel"]] += [frame["data"][0] for frame in word["publications"]]
            if word.get("more"):
                peer.send(type="subscribe", channel=word["channel"], since=word["position"])
        assert alive(peer)
    assert got == dict.fromkeys(channels, [0, 1, 2, 3, 4])


def test_broken_data_does_not_come_back_with_every_reconnect(served, caplog):
    """It is left out and logged; what follows arrives."""
    with served.peer() as peer:
        position = peer.subscribe(CHANNEL)["position"]
        publish(served, b'"\xff"', 2)
        assert peer.receive()["data"] == 2
    with served.peer() as peer:
        answer = peer.subscribe(CHANNEL, since=position)
        assert (answer["recovered"], numbers(answer)) == (True, [2])
    assert caplog.text.count("its data is broken") == 2


@pytest.mark.parametrize("served", ["local"], indirect=True)
def test_server_that_was_restarted_tells_all_that_it_forgot(served):
    """A new memory knows nothing of what was before."""
    with served.peer() as peer:
        quiet = peer.subscribe(CHANNEL)["position"]
        publish(served, 1)
        position = peer.receive()["position"]
        await_tick()
    served.run(served.feed.stop())
    served.run(served.feed.start(served.push._fan_out.deliver))
    with served.peer() as peer:
        assert peer.subscribe(CHANNEL, since=position)["recovered"] is False
    with served.peer() as peer:
        assert peer.subscribe(CHANNEL, since=quiet)["recovered"] is False


def test_history_is_not_sent_again_and_again(served, monkeypatch):
    """Thirty bytes ask for all of it; who does so too often is told that it has not recovered, and goes on live."""
    monkeypatch.setattr(session, "RECOVERY_BURST", 2_000)
    monkeypatch.setattr(session, "RECOVERY_RATE", 1)
    with served.peer() as peer:
        position = peer.subscribe(CHANNEL)["position"]
    publish(served, *("x" * 500 for _ in range(3)))
    with served.peer() as peer:
        answers = []
        for _ in range(4):
            answers.append(peer.subscribe(CHANNEL, since=position))
            peer.send(type="unsubscribe", channel=CHANNEL)
            peer.receive()
        assert [answer["recovered"] for answer in answers] == [True, True, False, False]
        assert [len(numbers(answer)) for answer in answers] == [3, 3, 0, 0]
        assert "spread" in answers[-1] and "position" in answers[-1]
        peer.subscribe(CHANNEL, since=position)
        publish(served, 4)
        assert peer.receive()["data"] == 4
