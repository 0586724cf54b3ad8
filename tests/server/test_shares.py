"""How many connections a user has."""

from __future__ import annotations

import contextlib

from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.grants import Grant
from django_jugpush.core.session import Session
from django_jugpush.server.shares import Shares

from .test_http import wait_until


def session_of(user, namespace="a"):
    session = Session(client="client-0123456789")
    session.connect("1", now=0, place=0.5)
    session.receive_data('{"type":"subscribe","channel":"x"}', now=0)
    (event,) = session.events_received()
    session.accept(event.request, Grant(channel="x", user=user, login=user, namespace=namespace))
    return session


def test_each_user_has_a_share():
    """Counted once, whatever the session subscribes to; users of other tenants, and visitors, are others."""
    shares = Shares(2)
    first, second = session_of("1"), session_of("1")
    assert all(shares.take(session) for session in (first, second, first, second))
    late = session_of("1")
    assert not shares.take(late)
    assert all(shares.take(session_of(user, space)) for user, space in [("2", "a"), ("1", "b"), (None, "a")] * 2)
    assert all(shares.take(session_of(None)) for _ in range(5))
    shares.give_back(late)
    assert not shares.take(late)
    shares.give_back(first)
    shares.give_back(first)
    assert shares.take(late)
    shares.give_back(late)
    shares.give_back(second)
    assert ("a", "1") not in shares._connections


def test_share_may_be_without_end():
    shares = Shares(None)
    assert all(shares.take(session_of("1")) for _ in range(200))


def test_connection_that_is_one_too_many_is_sent_away(serve):
    """By the first token of its user; it may come back, and does get in when another one has closed."""
    served = serve(max_connections_per_user=2)

    def subscribe(peer, user):
        return peer.subscribe("a", token=f"a/{user}")["type"]

    with contextlib.ExitStack() as stack:
        one, two, late = (stack.enter_context(served.peer()) for _ in range(3))
        assert [subscribe(one, "alice"), subscribe(two, "alice")] == ["subscribed"] * 2
        late.send(type="subscribe", id=1, channel="a", token="a/alice")
        words, code = late.rest()
        assert code == DisconnectCode.TOO_MANY_CONNECTIONS
        assert words[-1]["reconnect"]
        assert served.push.hub.listeners("tests:a") == 2
        bob = stack.enter_context(served.peer())
        assert subscribe(bob, "bob") == "subscribed"
        one.socket.close()
        wait_until(lambda: served.push.hub.listeners("tests:a") == 2)
        assert subscribe(stack.enter_context(served.peer()), "alice") == "subscribed"


def test_channels_of_a_server_are_limited(serve):
    """Names can be made up without end; what is there already may be joined."""
    served = serve(max_channels=2)
    with served.peer() as one, served.peer() as other:
        assert [one.subscribe(f"open:{name}")["type"] for name in "ab"] == ["subscribed"] * 2
        assert other.subscribe("open:c")["code"] == 106
        assert other.subscribe("open:a")["type"] == "subscribed"
        one.send(type="unsubscribe", id=2, channel="open:b")
        one.receive()
        assert other.subscribe("open:c")["type"] == "subscribed"
