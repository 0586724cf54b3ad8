"""How clients are received, whatever their transport."""

from __future__ import annotations

import pytest

from django_jugpush.core.clients import is_client_id
from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.commands import Connected, Disconnect
from django_jugpush.core.session import SessionState
from django_jugpush.server.config import ServerConfig
from django_jugpush.server.counts import Counts
from django_jugpush.server.handshake import Handshake


class Origins:
    """Allows all but one, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, origin, *, scheme, headers):
        self.asked.append((origin, scheme, headers))
        return origin != "https://evil.example"


def begin(query=b"protocol=1", *, headers=(), scheme="wss", origins=None, refusal=None):
    """Return the session of a client, and the only word that it is told."""
    counts = Counts()
    config = ServerConfig(ping_interval=5)
    handshake = Handshake(config, counts, origin_allowed=origins or Origins(), clock=lambda: 100.0)
    scope = {"type": "any transport", "query_string": query, "headers": headers, "scheme": scheme}
    session, protocol = handshake.make_session(scope)
    handshake.greet(session, scope, protocol=protocol, place=0.25, refusal=refusal)
    assert counts.refused == ({session.code: 1} if session.code else {})
    (word,) = session.data_to_send()
    return session, word


def test_client_is_greeted():
    """By the id that it has, or by a new one."""
    session, word = begin(b"protocol=1&client=client-0123456789")
    assert session.state is SessionState.CONNECTED
    assert word == Connected(protocol=1, client="client-0123456789", ping=5000, place=0.25)
    assert not session.tick(104.9) and session.tick(105.0)
    for query in (b"protocol=1", b"protocol=1&client=short", b"client=%22&protocol=1"):
        assert is_client_id(begin(query)[0].client)


@pytest.mark.parametrize("query", [b"", b"protocol=2", b"&".join([b"protocol=1"] * 30), b"\xff"])
def test_query_without_the_version_is_answered(query):
    """Also one that cannot be read."""
    session, word = begin(query)
    assert isinstance(word, Disconnect)
    assert session.code is DisconnectCode.UNKNOWN_PROTOCOL


@pytest.mark.parametrize(("scheme", "is_asked_as"), [("ws", "http"), ("https", "https"), ("wss", "https")])
def test_origin_is_asked_about_by_scheme_and_headers(scheme, is_asked_as):
    """Names of headers are in lower case."""
    origins = Origins()
    begin(headers=[(b"Origin", b"https://shop.example"), (b"HOST", b"push")], scheme=scheme, origins=origins)
    assert origins.asked == [("https://shop.example", is_asked_as, {"origin": "https://shop.example", "host": "push"})]


def test_foreign_page_is_told_and_logged(caplog):
    """With a word: of anything else its browser would tell it nothing."""
    session, word = begin(headers=[(b"origin", b"https://evil.example")])
    assert session.code is DisconnectCode.ORIGIN_DENIED
    assert (word.code, word.reconnect) == (DisconnectCode.ORIGIN_DENIED, False)
    assert "'https://evil.example' refused" in caplog.text


def test_server_that_cannot_have_clients_asks_nothing():
    """Whoever comes is sent away at once."""
    origins = Origins()
    session, word = begin(origins=origins, refusal=DisconnectCode.SHUTDOWN)
    assert session.code is DisconnectCode.SHUTDOWN
    assert (word.reconnect, word.spread) == (True, None)
    assert origins.asked == []
