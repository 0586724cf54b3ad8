"""What a client says of itself, and the events that it sends: how a session takes them."""

from __future__ import annotations

import msgspec
import pytest

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.events import EventReceived, SubscribeRequested
from django_jugpush.core.grants import Grant
from django_jugpush.core.reading import EVENT_BURST, MAX_EVENT_BYTES, MAX_META_BYTES

from .conftest import Peer, error

PAGE = Grant(channel="room", granted_by="page")


@pytest.fixture
def peer():
    """A connected peer that has a subscription by token."""
    peer = Peer()
    peer.connect()
    peer.subscribe("room", grant=PAGE)
    peer.session.events_received()
    return peer


def events(peer):
    """Return what the events since the last call carry."""
    return [event.data for event in peer.session.events_received() if isinstance(event, EventReceived)]


def test_meta_is_replaced_whole(peer):
    assert peer.session.meta is msgspec.UNSET
    for said, kept in ({"data": {"a": 1}}, {"a": 1}), ({"data": [1]}, [1]), ({"data": None}, None), ({}, msgspec.UNSET):
        peer.send(type="meta", **said)
        assert peer.session.meta == kept
    assert peer.receive() == []


def test_event_is_handed_on_with_what_it_carries(peer):
    for data in ({"x": 1}, None, "text"):
        peer.send(type="event", data=data)
    peer.send(type="event")
    assert events(peer) == [{"x": 1}, None, "text", msgspec.UNSET]
    assert peer.receive() == []


@pytest.mark.parametrize(("type", "limit"), [("meta", MAX_META_BYTES), ("event", MAX_EVENT_BYTES)])
def test_size_is_limited(peer, type, limit):
    peer.send(type=type, id=1, data="x" * (limit - 2))
    assert peer.receive() == []
    peer.send(type=type, id=2, data="x" * (limit - 1))
    assert peer.receive() == [error(ErrorCode.LIMIT_EXCEEDED, 2)]


def test_number_is_limited_and_grows_again_with_time(peer):
    """Meta and events share the allowance."""
    for number in range(EVENT_BURST):
        peer.send(type="meta" if number % 2 else "event", data=number)
    assert peer.receive() == []
    peer.send(type="event", id=1, data="too many")
    peer.send(type="meta", id=2, data="too many")
    assert peer.receive() == [error(ErrorCode.LIMIT_EXCEEDED, id) for id in (1, 2)]
    peer.now += 1
    peer.send(type="event", data="later")
    assert events(peer)[-1] == "later"
    assert peer.session.meta != "too many"


@pytest.mark.parametrize(
    "data", ["[" * 33 + "]" * 33, "1e999", r'"\ud800"', '{"a":' * 40 + "1" + "}" * 40, "1" * 900 + "e9999"]
)
def test_what_python_or_a_browser_may_choke_on_is_refused(peer, data):
    for type in ("meta", "event"):
        peer.session.receive_data(f'{{"type":"{type}","id":3,"data":{data}}}', now=peer.now)
        (answer,) = peer.receive()
        assert answer["code"] in (ErrorCode.BAD_REQUEST, ErrorCode.INVALID_JSON)
    assert events(peer) == []
    assert peer.session.meta is msgspec.UNSET


def test_client_without_a_subscription_by_token_may_not_send_events():
    """Public channels are everybody's: anyone could flood the receivers."""
    peer = Peer()
    peer.connect()
    peer.send(type="event", id=1, data=1)
    assert peer.receive() == [error(ErrorCode.DENIED, 1)]
    peer.subscribe("news")
    peer.send(type="event", id=2, data=1)
    peer.send(type="meta", id=3, data={"name": "Ann"})
    assert peer.receive() == [error(ErrorCode.DENIED, 2)]
    assert events(peer) == []
    assert peer.session.meta == {"name": "Ann"}


def test_project_may_let_everybody_send_events():
    peer = Peer(public_events=True)
    peer.connect()
    peer.send(type="event", data=1)
    assert events(peer) == [1]


@pytest.mark.parametrize("outcome", ["accepted", "public", "refused", "withdrawn"])
def test_event_waits_for_a_pending_subscription(outcome):
    """A page subscribes and sends at once; its right to send may be in the token that is being looked at."""
    peer = Peer()
    peer.connect()
    peer.send(type="subscribe", id=1, channel="room", token="t")
    (request,) = peer.session.events_received()
    assert isinstance(request, SubscribeRequested)
    peer.send(type="event", id=2, data=1)
    assert (peer.receive(), events(peer)) == ([], [])
    if outcome == "withdrawn":
        peer.send(type="unsubscribe", id=3, channel="room")
    elif outcome == "refused":
        peer.session.refuse(request.request, ErrorCode.DENIED)
    else:
        granted_by = "page" if outcome == "accepted" else "public"
        peer.session.accept(request.request, Grant(channel="room", granted_by=granted_by))
    assert events(peer) == ([1] if outcome == "accepted" else [])
    assert (error(ErrorCode.DENIED, 2) in peer.receive()) is (outcome != "accepted")


@pytest.mark.parametrize("public_events", [True, False])
def test_event_stays_behind_the_subscription_that_was_asked_for_before_it(public_events):
    """Also where it needs none: who hears of both hears of them in the order in which the page said them."""
    peer = Peer(public_events=public_events)
    peer.connect()
    peer.subscribe("page", grant=Grant(channel="page", granted_by="page"))
    peer.session.events_received()
    peer.send(type="subscribe", id=1, channel="room")
    peer.send(type="event", data=1)
    (request,) = peer.session.events_received()
    peer.session.accept(request.request, Grant(channel="room"))
    started, event = peer.session.events_received()
    assert (started.channel, event.data) == ("room", 1)


def test_waiting_events_go_with_the_session():
    peer = Peer()
    peer.connect()
    peer.send(type="subscribe", id=1, channel="room")
    peer.send(type="event", data=1)
    peer.session.connection_lost()
    assert events(peer) == []


def test_event_for_which_nobody_has_room_is_refused(peer):
    peer.send(type="event", id=7, data=1)
    (event,) = peer.session.events_received()
    peer.session.refuse_event(event, ErrorCode.LIMIT_EXCEEDED)
    assert peer.receive() == [error(ErrorCode.LIMIT_EXCEEDED, 7)]


def test_user_is_the_one_of_the_grants():
    peer = Peer()
    peer.connect()
    assert peer.session.user is None
    peer.subscribe("room", grant=Grant(channel="room", user="7", login="l", granted_by="page"))
    assert peer.session.user == "7"
