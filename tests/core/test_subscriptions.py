"""What one client is subscribed to, and whose client it is by that."""

from __future__ import annotations

from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.events import SubscribeRequested
from django_jugpush.core.grants import Grant

from .conftest import Peer, error


def test_second_subscription_to_a_channel_is_refused(peer):
    """Whether the first is running or pending."""
    peer.subscribe("running")
    peer.send(type="subscribe", id=2, channel="pending")
    peer.session.events_received()
    for id, channel in (3, "running"), (4, "pending"):
        peer.send(type="subscribe", id=id, channel=channel)
        assert peer.receive() == [error(ErrorCode.ALREADY_SUBSCRIBED, id)]
        assert not [event for event in peer.session.events_received() if isinstance(event, SubscribeRequested)]


def test_subscriptions_are_limited_whether_running_or_pending():
    """One that ends makes room."""
    peer = Peer(max_subscriptions=2)
    peer.connect()
    peer.subscribe("a")
    peer.send(type="subscribe", id=2, channel="b")
    peer.send(type="subscribe", id=3, channel="c")
    assert peer.receive() == [error(ErrorCode.LIMIT_EXCEEDED, 3)]
    peer.send(type="unsubscribe", channel="a")
    peer.session.events_received()
    peer.receive()
    assert peer.subscribe("c")["type"] == "subscribed"


def grant(channel, user=None, login=None):
    return Grant(channel=channel, user=user, login=login)


def test_first_login_fixes_whose_session_it_is(peer):
    """Tokens of another user, or of another login of the same user, are refused from then on."""
    assert peer.subscribe("public")["type"] == "subscribed"
    assert peer.subscribe("a", grant=grant("a", "1", "login-1"))["type"] == "subscribed"
    assert peer.subscribe("b", grant=grant("b", "1", "login-1"))["type"] == "subscribed"
    for id, other in enumerate([("2", "login-2"), ("1", "login-2"), ("1", None)], start=10):
        assert peer.subscribe("c", id=id, grant=grant("c", *other)) == error(ErrorCode.IDENTITY_MISMATCH, id)
    assert peer.subscribe("also-public")["type"] == "subscribed"
    assert sorted(peer.session.grants) == ["a", "also-public", "b", "public"]
