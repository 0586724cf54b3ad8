"""Who is here and listens to what, and the fan-out to them."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from django_jugpush.core import hub as hub_module
from django_jugpush.core.channels import split_name
from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.hub import MIN_SPREAD, REFRESH_RATE, Hub
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.session import Session


def as_text(message):
    return message.decode()


def as_bytes(message):
    return message


class MemoryConnection:
    """Keeps what it is sent."""

    def __init__(self, wire=as_text):
        self.wire = wire
        self.frames = []
        self.closed = None

    def send(self, frame):
        self.frames.append(frame)

    def close(self, code, reason):
        self.closed = code


class Interest:
    """Keeps what the hub wants to hear, and insists on being told once."""

    def __init__(self):
        self.channels = set()
        self.servers = 1

    def listen(self, channels):
        for channel in channels:
            assert channel not in self.channels
            self.channels.add(channel)

    def forget(self, channels):
        for channel in channels:
            self.channels.remove(channel)


@pytest.fixture
def interest():
    """What the hub wants to hear."""
    return Interest()


@pytest.fixture
def hub(interest):
    """An empty hub."""
    return Hub(interest)


def join(hub, *channels, client="c" * 16, connection=None):
    """Let a new session join and listen; return its connection."""
    session = Session(client=client)
    connection = connection or MemoryConnection()
    hub.join(session, connection)
    for channel in channels:
        hub.subscribe(session, channel)
    connection.session = session
    return connection


def publication(full_name, data=b"1", **more):
    namespace, channel = split_name(full_name)
    return Publication(id="p", channel=channel, namespace=namespace, data=msgspec.Raw(data), **more)


def test_namespaces_share_nothing(hub, interest):
    """Two tenants' channels of one name are two channels; a browser sees no namespace."""
    one, two = join(hub, "one:user:42"), join(hub, "two:user:42")
    assert interest.channels == {"one:user:42", "two:user:42"}
    hub.publish(publication("two:user:42"))
    assert one.frames == []
    assert two.frames == ['{"channel":"user:42","data":1}']
    hub.publish(Publication(id="p", channel="one:user:42"))  # in the namespace that has no name
    assert one.frames == []


def test_what_is_kept_for_a_subscription_comes_when_it_begins(hub, interest):
    """In order, and before what is published afterwards; whoever is subscribed already need not wait."""
    waits, listens = join(hub), join(hub, "shop:news")
    hub.reserve(waits.session, "shop:news")
    hub.publish(publication("shop:news", b"1"))
    hub.publish(publication("shop:news", b"2"))
    assert waits.frames == []
    assert len(listens.frames) == 2
    hub.subscribe(waits.session, "shop:news")
    hub.publish(publication("shop:news", b"3"))
    assert waits.frames == listens.frames == [f'{{"channel":"news","data":{number}}}' for number in (1, 2, 3)]


def test_what_is_kept_for_a_subscription_that_does_not_begin_is_dropped(hub, interest):
    """And the feed hears of it as of any other listener."""
    waits = join(hub, client="author" * 3)
    hub.reserve(waits.session, "shop:news")
    assert interest.channels == {"shop:news"}
    hub.publish(publication("shop:news"))
    hub.unsubscribe(waits.session, "shop:news")
    assert interest.channels == set()
    hub.reserve(waits.session, "shop:news")
    hub.publish(publication("shop:news", exclude=("author" * 3,)))
    hub.subscribe(waits.session, "shop:news")
    assert waits.frames == []


def test_publication_reaches_exactly_the_listeners_of_its_channel(hub):
    """In the order of publication."""
    both, news, other = join(hub, "shop:news", "shop:sport"), join(hub, "shop:news"), join(hub, "shop:other")
    hub.publish(publication("shop:news", b"1"))
    hub.publish(publication("shop:sport", b"2"))
    hub.publish(publication("shop:nobody", b"3"))
    assert both.frames == ['{"channel":"news","data":1}', '{"channel":"sport","data":2}']
    assert news.frames == ['{"channel":"news","data":1}']
    assert not other.frames


def test_publication_is_encoded_once_and_framed_once_per_wire(hub, monkeypatch):
    """All connections of one wire format share one frame."""
    encoded = []
    monkeypatch.setattr(
        hub_module,
        "encode_publication",
        lambda publication, spread: encoded.append(publication) or b'{"data":"a value long enough"}',
    )
    texts = [join(hub, "shop:news") for _ in range(3)]
    raws = [join(hub, "shop:news", connection=MemoryConnection(as_bytes)) for _ in range(3)]
    hub.publish(publication("shop:news"))
    assert len(encoded) == 1
    assert len({id(connection.frames[0]) for connection in texts}) == 1
    assert len({id(connection.frames[0]) for connection in raws}) == 1
    assert isinstance(raws[0].frames[0], bytes)


def test_excluded_client_gets_nothing(hub):
    """On none of its connections; a stale channel is no news to it either."""
    author, reader = join(hub, "shop:news", client="author" * 3), join(hub, "shop:news", client="reader" * 3)
    second = join(hub, "shop:news", client="author" * 3)
    hub.publish(publication("shop:news", exclude=("author" * 3,)))
    hub.publish(publication("shop:news", exclude=("somebody", "author" * 3), stale="size"))
    assert len(reader.frames) == 2
    assert author.frames == second.frames == []


def test_spread_grows_with_the_listeners(hub):
    """A publication tells it from MIN_SPREAD on; a stale channel tells it always."""
    few = MIN_SPREAD * REFRESH_RATE // 1000 - 1
    listeners = [join(hub, "shop:news") for _ in range(few)]
    hub.publish(publication("shop:news"))
    hub.publish(publication("shop:news", stale="storm"))
    listeners.append(join(hub, "shop:news", connection=MemoryConnection(as_bytes)))
    hub.publish(publication("shop:news"))
    words = [json.loads(frame) for frame in listeners[0].frames]
    assert [word.get("spread") for word in words] == [None, few * 20, MIN_SPREAD]
    assert hub.spread("shop:nobody") == 0


def test_spread_grows_with_the_number_of_servers(hub, interest):
    """They share the rate."""
    for _ in range(100):
        join(hub, "shop:news")
    alone = 100 * 1000 // REFRESH_RATE
    assert (hub.spread("shop:news"), hub.gap_spread()) == (alone, alone)
    interest.servers = 3
    assert (hub.spread("shop:news"), hub.gap_spread()) == (3 * alone, 3 * alone)


def test_spread_of_a_gap_grows_with_all_clients(hub):
    """Each may listen to a channel of its own, and all have missed something."""
    clients = [join(hub, f"shop:user:{number}") for number in range(100)]
    hub.publish(publication("shop:user:7", stale="gap"))
    hub.publish(publication("shop:user:7", stale="size"))
    spreads = [json.loads(frame)["spread"] for frame in clients[7].frames]
    assert spreads == [100 * 1000 // REFRESH_RATE, 1000 // REFRESH_RATE]


def test_feed_hears_of_first_and_last_listener(hub, interest):
    """And of nothing between."""
    first, second = join(hub, "shop:news", "shop:sport"), join(hub, "shop:news")
    assert interest.channels == {"shop:news", "shop:sport"}
    hub.unsubscribe(first.session, "shop:news")
    assert interest.channels == {"shop:news", "shop:sport"}
    hub.unsubscribe(second.session, "shop:news")
    assert interest.channels == {"shop:sport"}
    hub.leave(first.session)
    assert not interest.channels


def test_leaving_is_complete_and_may_happen_twice(hub, interest):
    """Nothing is kept of a session, nor of a channel that only it listened to."""
    gone = join(hub, "shop:news", "shop:sport")
    stays = join(hub, "shop:news")
    for _ in range(2):
        hub.leave(gone.session)
    hub.publish(publication("shop:news"))
    assert not gone.frames
    assert len(stays.frames) == len(hub) == 1
    assert gone.session not in hub
    assert hub.channels() == interest.channels == {"shop:news"}


def test_unsubscribing_what_is_not_subscribed_does_nothing(hub):
    """Neither for a stranger."""
    connection = join(hub, "shop:news")
    hub.unsubscribe(connection.session, "shop:sport")
    hub.unsubscribe(Session(client="stranger" * 2), "shop:news")
    assert hub.listeners("shop:news") == 1


def test_connection_that_leaves_during_the_fan_out_disturbs_nobody(hub):
    """A slow one is sent away in the middle of it."""

    class Overflowing(MemoryConnection):
        def send(self, frame):
            hub.leave(self.session)

    before = join(hub, "shop:news")
    join(hub, "shop:news", connection=Overflowing())
    after = join(hub, "shop:news")
    join(hub, "shop:news", connection=Overflowing(as_bytes))  # the only one of its wire
    hub.publish(publication("shop:news"))
    assert len(before.frames) == len(after.frames) == 1
    assert hub.listeners("shop:news") == 2


def test_connection_that_leaves_while_it_gets_what_was_kept_is_gone(hub, interest):
    """Nothing is left of it, neither where others listen nor where it was the only one."""

    class Overflowing(MemoryConnection):
        def send(self, frame):
            hub.leave(self.session)

    join(hub, "shop:news")
    late = join(hub, connection=Overflowing())
    for channel in ("shop:news", "shop:sport"):
        hub.join(late.session, late)
        hub.reserve(late.session, channel)
        hub.publish(publication(channel))
        hub.publish(publication(channel))
        hub.subscribe(late.session, channel, has=Position("x", 5, 1005))
    assert hub.channels() == interest.channels == {"shop:news"}
    assert hub.listeners("shop:news") == len(hub) == 1
    assert not hub._channels["shop:news"].has


def test_connection_that_fails_is_closed_and_disturbs_nobody(hub, caplog):
    """It may have missed something, so its client must come back."""

    class Broken(MemoryConnection):
        def send(self, frame):
            raise RuntimeError("a fault of the door")

    broken, after = join(hub, "shop:news", connection=Broken()), join(hub, "shop:news")
    with caplog.at_level(logging.ERROR):
        hub.publish(publication("shop:news"))
    assert broken.closed == DisconnectCode.INTERNAL
    assert len(after.frames) == 1
    assert "a fault of the door" in caplog.text


@pytest.mark.parametrize("data", [b'"\xff"', b'{"a":\n}'])
def test_publication_that_no_browser_could_read_is_dropped(hub, caplog, data):
    """It would end the connection of everyone who gets it; what comes after it is delivered."""
    listener = join(hub, "shop:news")
    assert hub.publish(publication("shop:news", data)) == 0
    assert hub.publish(publication("shop:news")) == len(listener.frames) == 1
    assert caplog.text.count("its data is broken") == 1


def numbered(number, *, epoch="x", **more):
    return publication("shop:news", b"%d" % number, **more).at(Position(epoch, number, 1000 + number))


def data(connection):
    return [json.loads(frame)["data"] for frame in connection.frames]


def test_what_a_listener_has_is_not_sent_to_it_again(hub):
    """What it was told in answer may be heard only afterwards; others get it, and then so does this one."""
    other = join(hub, "shop:news")
    late = join(hub)
    hub.reserve(late.session, "shop:news")
    hub.publish(numbered(4))
    hub.publish(numbered(6))
    hub.subscribe(late.session, "shop:news", has=Position("x", 5, 1005))
    assert data(late) == [6]
    late.frames.clear()
    hub.subscribe(late.session, "shop:news", has=Position("x", 8, 1008))
    for number in (7, 8, 9, 10):
        hub.publish(numbered(number))
    assert data(late) == [9, 10]
    assert data(other) == [4, 6, 7, 8, 9, 10]
    assert not hub._channels["shop:news"].has, "or each publication would be compared with it"


def test_of_what_is_kept_for_a_subscription_the_newest_counts_where_there_is_a_pace(hub):
    """It gets it all at once. What has no pace, or tells that something is missing, is not left out for it."""
    late = join(hub, client="author" * 3)
    hub.reserve(late.session, "shop:news")
    for number, more in enumerate(
        [
            {},
            {},
            {"stale": "storm"},
            {},
            {},
            {"exclude": ("author" * 3,)},
            {"max_rate": None},
            {},
            {"position": None},
            {},
        ]
    ):
        hub.publish(msgspec.structs.replace(numbered(number), **{"max_rate": 2, **more}))
    hub.subscribe(late.session, "shop:news")
    assert [json.loads(frame).get("data", "stale") for frame in late.frames] == [1, "stale", 4, 6, 7, 8, 9]


@pytest.mark.parametrize("has", [None, Position.moment(1), Position("another", 9, 9)])
def test_listener_of_which_nothing_is_known_gets_all(hub, has):
    """So does one whose stream was another."""
    connection = join(hub)
    hub.reserve(connection.session, "shop:news")
    hub.publish(numbered(1))
    hub.subscribe(connection.session, "shop:news", has=has)
    hub.publish(numbered(2))
    assert data(connection) == [1, 2]


def test_what_has_no_position_is_sent_to_all(hub):
    """It never was in a stream, so nobody has it."""
    connection = join(hub)
    hub.subscribe(connection.session, "shop:news", has=Position("x", 5, 1005))
    hub.publish(publication("shop:news", b"0"))
    hub.publish(numbered(5))
    assert data(connection) == [0]


def test_excluded_client_that_waits_gets_nothing(hub):
    author = join(hub, client="author" * 3)
    hub.reserve(author.session, "shop:news")
    hub.publish(numbered(1, exclude=("author" * 3,)))
    hub.subscribe(author.session, "shop:news")
    assert not author.frames


class AnyHub(RuleBasedStateMachine):
    """Whoever comes, listens and goes, in whatever order: indexes and feed agree with a plain model."""

    sessions = Bundle("sessions")
    channels = st.sampled_from(["one:a", "one:b", "two:a", "two:b"])
    wires = st.sampled_from([as_text, as_bytes])

    def __init__(self):
        super().__init__()
        self.interest = Interest()
        self.hub = Hub(self.interest)
        self.model = {}

    @rule(target=sessions, wire=wires, number=st.integers(0, 2))
    def join(self, wire, number):
        session = Session(client=f"client-{number}-of-three")
        connection = MemoryConnection(wire)
        self.hub.join(session, connection)
        self.model[session] = (connection, set())
        return session

    @rule(session=sessions, channel=channels, waits=st.booleans(), has=st.sampled_from([None, Position("x", 7, 7)]))
    def subscribe(self, session, channel, waits, has):
        if waits:
            self.hub.reserve(session, channel)
        self.hub.subscribe(session, channel, has=has)
        self.model[session][1].add(channel)

    @rule(session=sessions, channel=channels)
    def unsubscribe(self, session, channel):
        self.hub.unsubscribe(session, channel)
        self.model[session][1].discard(channel)

    @rule(session=consumes(sessions))
    def leave(self, session):
        self.hub.leave(session)
        del self.model[session]

    @rule(
        channel=channels,
        exclude=st.sampled_from([(), ("client-1-of-three",), ("client-1-of-three", "client-2-of-three")]),
    )
    def publish(self, channel, exclude):
        for connection, _ in self.model.values():
            connection.frames.clear()
        self.hub.publish(publication(channel, exclude=exclude))
        for session, (connection, channels) in self.model.items():
            expected = channel in channels and session.client not in exclude
            assert len(connection.frames) == expected

    @invariant()
    def indexes_agree(self):
        wanted = set().union(*(channels for _, channels in self.model.values()))
        assert self.hub.channels() == self.interest.channels == wanted
        assert set(self.hub) == set(self.model)
        assert len(self.hub) == len(self.model)
        for channel in ("one:a", "one:b", "two:a", "two:b"):
            assert self.hub.listeners(channel) == sum(channel in channels for _, channels in self.model.values())

    @invariant()
    def nothing_is_kept_of_what_is_gone(self):
        assert set(self.hub._channels_of) == {session for session, (_, channels) in self.model.items() if channels}
        for record in self.hub._channels.values():
            assert all(record.listeners.values())
            assert not record.waiting
            assert record.has.keys() <= {session for by in record.listeners.values() for session in by}


TestAnyHub = AnyHub.TestCase
TestAnyHub.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
