"""Whether a client is still there."""

from __future__ import annotations

import pytest

from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.session import SessionState

from .conftest import disconnect


def test_ping_is_sent_every_interval(peer):
    """A client that answers stays."""
    for _ in range(5):
        peer.now += 24.9
        assert not peer.session.tick(peer.now)
        peer.now += 0.1
        assert peer.session.tick(peer.now)
        assert peer.receive() == [{"type": "ping"}]
        peer.send(type="pong")
    assert peer.session.state is SessionState.CONNECTED


def test_ping_tells_how_many_there_are(peer):
    """As the time over which they should spread what they all do."""
    peer.now += 25
    assert peer.session.tick(peer.now, spread=100_000)
    assert peer.receive() == [{"type": "ping", "spread": 100_000}]


def test_silent_client_is_dropped_after_two_intervals(peer):
    """It may come back."""
    peer.now += 25
    peer.session.tick(peer.now)
    assert peer.receive() == [{"type": "ping"}]
    peer.now += 24.9
    peer.session.tick(peer.now)
    assert peer.session.state is SessionState.CONNECTED
    peer.now += 0.1
    assert peer.session.tick(peer.now)
    assert peer.receive() == [disconnect(DisconnectCode.NO_PONG)]
    assert not peer.session.tick(peer.now + 100)


@pytest.mark.parametrize("text", ['{"type":"ping"}', '{"type":"unsubscribe","channel":"x"}', "?"])
def test_anything_is_a_sign_of_life(peer, text):
    """Even what cannot be understood."""
    peer.now += 49
    peer.session.receive_data(text, now=peer.now)
    peer.now += 49
    peer.session.tick(peer.now)
    assert peer.session.state is SessionState.CONNECTED


def test_client_may_ask_for_a_sign_of_life(peer):
    """It does after sleep."""
    peer.send(type="ping")
    assert peer.receive() == [{"type": "pong"}]
