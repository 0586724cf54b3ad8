"""One client's state on the server."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from django_jugpush.core import session
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.events import (
    SessionEnded,
    SubscribeRequested,
    SubscribeWithdrawn,
    SubscriptionEnded,
    SubscriptionStarted,
)
from django_jugpush.core.grants import Grant
from django_jugpush.core.positions import Position
from django_jugpush.core.session import Session, SessionState

from .conftest import CLIENT, Peer, disconnect, error

# Connecting


def test_connect_is_greeted_with_version_client_and_heartbeat():
    """The interval is told in milliseconds."""
    peer = Peer(ping_interval=2.5)
    assert peer.connect() == [{"type": "connected", "protocol": 1, "client": CLIENT, "ping": 2500, "place": 0.5}]
    assert peer.session.state is SessionState.CONNECTED


@pytest.mark.parametrize("protocol", ["", "0", "2", "01", "1.0", "x"])
def test_unknown_protocol_is_sent_away(protocol):
    """The client is told not to come back."""
    peer = Peer()
    assert peer.connect(protocol) == [disconnect(DisconnectCode.UNKNOWN_PROTOCOL)]
    assert peer.session.events_received() == [SessionEnded(code=DisconnectCode.UNKNOWN_PROTOCOL)]


def test_nothing_is_understood_before_connecting():
    """Commands of a client that has not been greeted are ignored."""
    peer = Peer()
    peer.send(type="subscribe", channel="news")
    assert not peer.session.events_received()
    assert not peer.receive()


# Subscribing


def test_subscribe_asks_for_a_decision(peer):
    """Nothing is answered before it is there."""
    peer.send(type="subscribe", id=1, channel="news", token="t")
    (event,) = peer.session.events_received()
    assert isinstance(event, SubscribeRequested)
    assert (event.channel, event.token, event.is_resumed) == ("news", "t", False)
    assert not peer.receive()


def test_accepted_subscription_is_answered_and_starts(peer):
    """The first subscription says nothing of recovery."""
    grant = Grant(channel="news")
    peer.send(type="subscribe", id=1, channel="news")
    (event,) = peer.session.events_received()
    peer.session.accept(event.request, grant, spread=400)
    assert peer.receive() == [{"type": "subscribed", "id": 1, "channel": "news"}]
    assert peer.session.events_received() == [SubscriptionStarted(channel="news", grant=grant)]
    assert peer.session.grants == {"news": grant}


def test_client_that_has_recovered_is_told_what_it_missed(peer):
    """As it would have come live, and where it stands then."""
    peer.send(type="subscribe", id=1, channel="news", since="x1:41-1763924990001")
    (event,) = peer.session.events_received()
    assert event.since == Position("x1", 41, 1763924990001)
    position = Position("x1", 42, 1763924990002)
    lines = [b'{"channel":"news","data":7,"position":"x1:42-1763924990002"}']
    grant = Grant(channel="news")
    assert peer.session.accept(event.request, grant, recovered=True, publications=lines, position=position, spread=9)
    (answer,) = peer.receive()
    assert answer == {
        "type": "subscribed",
        "id": 1,
        "channel": "news",
        "recovered": True,
        "publications": [{"channel": "news", "data": 7, "position": "x1:42-1763924990002"}],
        "position": "x1:42-1763924990002",
    }
    assert peer.session.events_received() == [SubscriptionStarted(channel="news", grant=grant, position=position)]


def test_subscription_starts_with_the_last_page(peer):
    """Until then the client may ask for the next, and is subscribed to nothing."""
    peer.send(type="subscribe", id=1, channel="news", since="x1:41-1763924990001")
    (event,) = peer.session.events_received()
    position = Position("x1", 50, 1763924990050)
    assert not peer.session.accept(event.request, Grant(channel="news"), recovered=True, position=position, more=True)
    (answer,) = peer.receive()
    assert (answer["more"], answer["position"]) == (True, "x1:50-1763924990050")
    assert not peer.session.events_received() and not peer.session.grants
    assert peer.subscribe("news", id=2, since=answer["position"])["id"] == 2
    assert "news" in peer.session.grants


@pytest.mark.parametrize("since", ["", "no position", "x1:41-1763924990001"])
def test_resumed_subscription_is_not_recovered(peer, since):
    """Unless somebody knows that nothing was missed; the client waits a part of the spread."""
    peer.send(type="subscribe", id=1, channel="news", since=since)
    (event,) = peer.session.events_received()
    assert event.is_resumed
    peer.session.accept(event.request, Grant(channel="news"), spread=400)
    (answer,) = peer.receive()
    assert answer == {"type": "subscribed", "id": 1, "channel": "news", "recovered": False, "spread": 400}


def test_refused_subscription_gets_one_flat_message(peer):
    """The detail stays here."""
    peer.send(type="subscribe", id=1, channel="news")
    (event,) = peer.session.events_received()
    peer.session.refuse(event.request, ErrorCode.DENIED, "the order is someone else's")
    assert peer.receive() == [error(ErrorCode.DENIED)]
    assert not peer.session.events_received()
    assert not peer.session.grants


def test_refusal_is_explained_in_development():
    """The detail takes the message's place; without one the message is the code's."""
    peer = Peer(explain=True)
    peer.connect()
    for id, detail in (1, "no pattern matches; did you mean order:<int:pk>?"), (2, ""):
        peer.send(type="subscribe", id=id, channel="news")
        (event,) = peer.session.events_received()
        peer.session.refuse(event.request, ErrorCode.DENIED, detail)
        assert peer.receive() == [error(ErrorCode.DENIED, id, detail or "permission denied")]


def test_decisions_may_come_in_any_order(peer):
    """Each answer carries the id of its command."""
    for id, channel in enumerate("abc", start=1):
        peer.send(type="subscribe", id=id, channel=channel)
    first, second, third = peer.session.events_received()
    peer.session.accept(third.request, Grant(channel="c"))
    peer.session.refuse(second.request, ErrorCode.DENIED)
    peer.session.accept(first.request, Grant(channel="a"))
    assert [(word["type"], word["id"]) for word in peer.receive()] == [
        ("subscribed", 3),
        ("error", 2),
        ("subscribed", 1),
    ]


@pytest.mark.parametrize("channel", ["", "x" * 201, "a\x00b", "a\u2028b", "\u202ea", "e\u0301"])
def test_bad_channel_name_is_refused(peer, channel):
    """Nobody is asked about it."""
    peer.send(type="subscribe", id=1, channel=channel)
    assert peer.receive() == [error(ErrorCode.INVALID_CHANNEL)]
    assert not peer.session.events_received()


def test_unsubscribe_ends_the_subscription(peer):
    """And is answered, also where there was none."""
    peer.subscribe("news")
    peer.session.events_received()
    for _ in range(2):
        peer.send(type="unsubscribe", id=2, channel="news")
    assert peer.receive() == [{"type": "unsubscribed", "id": 2, "channel": "news"}] * 2
    assert peer.session.events_received() == [SubscriptionEnded(channel="news", grant=Grant(channel="news"))]
    assert not peer.session.grants


def test_unsubscribe_withdraws_a_pending_subscription(peer):
    """The decision comes too late, and belongs to no later subscription to that channel."""
    peer.send(type="subscribe", id=1, channel="news")
    peer.send(type="unsubscribe", id=2, channel="news")
    peer.send(type="subscribe", id=3, channel="news")
    asked, withdrawn, repeated = peer.session.events_received()
    assert withdrawn == SubscribeWithdrawn(request=asked.request)
    assert peer.receive() == [{"type": "unsubscribed", "id": 2, "channel": "news"}]
    peer.session.accept(asked.request, Grant(channel="news"))
    peer.session.refuse(asked.request, ErrorCode.DENIED)
    assert not peer.receive()
    assert not peer.session.events_received()
    peer.session.accept(repeated.request, Grant(channel="news"))
    assert peer.receive() == [{"type": "subscribed", "id": 3, "channel": "news"}]


# Ends


def test_disconnect_tells_why_and_ends_everything(peer):
    """Nothing follows: no second reason, no late decision, no command."""
    peer.subscribe("running")
    peer.send(type="subscribe", channel="pending")
    *_, pending = peer.session.events_received()
    peer.session.disconnect(DisconnectCode.SHUTDOWN)
    peer.session.disconnect(DisconnectCode.SLOW)
    peer.session.accept(pending.request, Grant(channel="pending"))
    peer.send(type="subscribe", channel="late")
    assert peer.receive() == [disconnect(DisconnectCode.SHUTDOWN)]
    assert peer.session.events_received() == [SessionEnded(code=DisconnectCode.SHUTDOWN)]
    assert not peer.session.grants
    assert peer.session.code is DisconnectCode.SHUTDOWN


def test_lost_connection_ends_without_words(peer):
    """There is nobody to tell."""
    peer.send(type="ping")
    peer.session.connection_lost()
    peer.session.connection_lost()
    assert not peer.receive()
    assert peer.session.events_received() == [SessionEnded(code=None)]


# Recovery


def test_what_was_missed_is_charged_by_its_size(peer):
    """Thirty bytes ask for all that a channel has kept, so not again and again."""
    assert peer.session.may_recover(peer.now)
    peer.session.charge(session.RECOVERY_BURST // 2, now=peer.now)
    assert peer.session.may_recover(peer.now)
    peer.session.charge(session.RECOVERY_BURST, now=peer.now)
    assert not peer.session.may_recover(peer.now)
    peer.now += session.RECOVERY_BURST / 2 / session.RECOVERY_RATE
    assert peer.session.may_recover(peer.now)


class AnyConversation(RuleBasedStateMachine):
    """Whatever is said and decided, in whatever order, the session stays in order."""

    channels = st.sampled_from(["a", "b", "c", "d", "", "x" * 300])

    def __init__(self):
        super().__init__()
        self.session = Session(client=CLIENT, max_subscriptions=3, ping_interval=10)
        self.session.connect("1", now=0, place=0.5)
        self.now = 0.0
        self.requests = []
        self.listening = set()
        self.ends = 0

    @rule(type=st.sampled_from(["subscribe", "unsubscribe"]), channel=channels)
    def command(self, type, channel):
        self.session.receive_data(json.dumps({"type": type, "channel": channel}), now=self.now)

    @rule(data=st.binary(max_size=5))
    def noise(self, data):
        self.session.receive_data(data, now=self.now)

    @rule(data=st.data(), user=st.sampled_from([None, "1", "2"]))
    def accept(self, data, user):
        if self.requests:
            event = data.draw(st.sampled_from(self.requests))
            self.session.accept(event.request, Grant(channel=event.channel, user=user))

    @rule(data=st.data())
    def refuse(self, data):
        if self.requests:
            self.session.refuse(data.draw(st.sampled_from(self.requests)).request, ErrorCode.DENIED)

    @rule(seconds=st.floats(0, 15))
    def tick(self, seconds):
        self.now += seconds
        self.session.tick(self.now)

    @rule(code=st.sampled_from(DisconnectCode))
    def disconnect(self, code):
        self.session.disconnect(code)

    @rule()
    def lose(self):
        self.session.connection_lost()

    @invariant()
    def events_tell_what_the_session_listens_to(self):
        for event in self.session.events_received():
            assert not self.ends, "an event after the end"
            match event:
                case SubscribeRequested():
                    self.requests.append(event)
                case SubscriptionStarted():
                    assert event.channel not in self.listening
                    self.listening.add(event.channel)
                case SubscriptionEnded():
                    self.listening.remove(event.channel)
                case SessionEnded():
                    self.listening.clear()
                    self.ends += 1
        assert self.listening == set(self.session.grants)
        assert len(self.listening) <= 3
        assert self.ends == (self.session.state is SessionState.DISCONNECTED)

    @invariant()
    def one_user_at_most(self):
        assert len({grant.user for grant in self.session.grants.values()} - {None}) <= 1


TestAnyConversation = AnyConversation.TestCase
TestAnyConversation.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
