"""How much a client may send, and what comes of what is no command."""

from __future__ import annotations

import pytest

from django_jugpush.core import reading
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.session import SessionState

from .conftest import Peer, disconnect, error


def test_too_long_message_is_not_even_read():
    """It counts as one that cannot be understood."""
    peer = Peer(max_message_size=100)
    peer.connect()
    for _ in range(reading.MAX_BAD_COMMANDS):
        peer.send(type="ping", x="x" * 100)
    words = peer.receive()
    assert words[0]["code"] == ErrorCode.LIMIT_EXCEEDED
    assert words[-1] == disconnect(DisconnectCode.TOO_MANY_ERRORS)


def test_too_many_bad_commands_in_a_row_end_the_session(peer):
    """The last one is answered too."""
    for _ in range(reading.MAX_BAD_COMMANDS):
        peer.session.receive_data("?", now=peer.now)
    words = peer.receive()
    assert [word["type"] for word in words] == ["error"] * reading.MAX_BAD_COMMANDS + ["disconnect"]
    assert words[-1] == disconnect(DisconnectCode.TOO_MANY_ERRORS)


def test_good_command_forgives_bad_ones(peer):
    """Only what comes in a row counts; a refusal is no bad command."""
    for _ in range(3):
        for _ in range(reading.MAX_BAD_COMMANDS - 1):
            peer.session.receive_data("?", now=peer.now)
        peer.send(type="subscribe", channel="")
    assert peer.session.state is SessionState.CONNECTED


def flood(peer, number, **word):
    """Send a command many times at once; return the answers."""
    for _ in range(number):
        peer.send(**word)
    return peer.receive()


def test_commands_are_limited_at_once_and_in_the_long_run(peer):
    """What is above that is not done; it is answered without an id, since it is not even decoded."""
    burst = reading.COMMAND_BURST + 100 * reading.FAILED_TOKEN_COST
    assert flood(peer, burst, type="ping") == [{"type": "pong"}] * burst
    excess = error(ErrorCode.LIMIT_EXCEEDED)
    del excess["id"]
    assert flood(peer, 1, type="subscribe", id=1, channel="news") == [excess]
    assert not peer.session.events_received()
    peer.now += 1
    assert flood(peer, 51, type="ping") == [{"type": "pong"}] * int(reading.COMMAND_RATE) + [excess]


def test_flood_of_commands_ends_the_session(peer):
    """Not to come back: it would do the same again."""
    words = flood(peer, 5000, type="ping")
    assert words[-1] == disconnect(DisconnectCode.TOO_MANY_COMMANDS)
    assert [word["type"] for word in words].count("error") == reading.MAX_EXCESS


def test_client_that_is_only_a_little_too_fast_stays(peer):
    """For hours: it is told, and some of what it says is not done."""
    for _ in range(20_000):
        peer.now += 1 / 60
        peer.send(type="ping")
    assert peer.session.state is SessionState.CONNECTED
    assert any(word["type"] == "error" for word in peer.receive())


def test_bytes_are_limited_too():
    """Few long commands are as much as many short ones."""
    peer = Peer(max_message_size=10_000, max_subscriptions=1)
    peer.connect()
    words = flood(peer, 100, type="ping", x="x" * 9_900)
    assert words[-1] == disconnect(DisconnectCode.TOO_MANY_COMMANDS)
    assert [word["type"] for word in words].count("pong") == 32


@pytest.mark.parametrize("subscriptions", [1, 100, 1000])
@pytest.mark.parametrize("size", [1000, 65_536])
def test_page_that_comes_back_with_all_its_subscriptions_meets_no_limit(subscriptions, size):
    """Even if its names are the longest, and all its tokens have become worthless."""
    peer = Peer(max_subscriptions=subscriptions, max_message_size=max(size, 2000))
    peer.connect()
    for number in range(subscriptions):
        channel = f"{number}:".ljust(200, "x")
        peer.send(type="subscribe", id=number + 1, channel=channel, token="t" * 1024, since="e:1-1763924990001")
        (event,) = peer.session.events_received()
        peer.session.refuse(event.request, ErrorCode.DENIED)
    peer.send(type="pong")
    assert {word["code"] for word in peer.receive()} == {ErrorCode.DENIED}
    assert peer.session.state is SessionState.CONNECTED


@pytest.mark.parametrize(
    ("token", "code", "cost"),
    [
        ("forged", ErrorCode.DENIED, reading.FAILED_TOKEN_COST),
        (None, ErrorCode.DENIED, 1),
        ("old", ErrorCode.TOKEN_EXPIRED, 1),
    ],
)
def test_token_that_opens_nothing_costs_more(peer, token, code, cost):
    """Whoever guesses is stopped sooner. One that has expired was genuine."""
    burst = reading.COMMAND_BURST + 100 * reading.FAILED_TOKEN_COST
    for _ in range(burst // cost):
        peer.send(type="subscribe", id=1, channel="news", token=token)
        (event,) = peer.session.events_received()
        peer.session.refuse(event.request, code)
    assert {word["code"] for word in peer.receive()} == {code}
    assert flood(peer, 1, type="ping")[0]["code"] == ErrorCode.LIMIT_EXCEEDED
