"""Whatever a client sends is answered with a documented code, and the server goes on for the others."""

from __future__ import annotations

import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from django_jugpush.core import reading
from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.server import lingering, websocket

ANSWERED = {
    "not JSON": ("hello", ErrorCode.INVALID_JSON),
    "nothing": ("", ErrorCode.INVALID_JSON),
    "an array": ("[]", ErrorCode.INVALID_JSON),
    "an unclosed object": ('{"type":"subscribe","channel":"a"', ErrorCode.INVALID_JSON),
    "deep nesting": ('{"type":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}", ErrorCode.INVALID_JSON),
    "a lone surrogate": (r'{"type":"subscribe","channel":"\ud800"}', ErrorCode.INVALID_JSON),
    "no type": ('{"channel":"open"}', ErrorCode.BAD_REQUEST),
    "an unknown type": ('{"type":"broadcast","channel":"open"}', ErrorCode.UNKNOWN_TYPE),
    "a type of later versions": ('{"type":"history","data":{}}', ErrorCode.UNKNOWN_TYPE),
    "no channel": ('{"type":"subscribe"}', ErrorCode.BAD_REQUEST),
    "a number for a channel": ('{"type":"subscribe","channel":7}', ErrorCode.BAD_REQUEST),
    "an object for a channel": ('{"type":"subscribe","channel":{"a":1}}', ErrorCode.BAD_REQUEST),
    "a list for a token": ('{"type":"subscribe","channel":"open","token":[]}', ErrorCode.BAD_REQUEST),
    "a negative id": ('{"type":"subscribe","channel":"open","id":-1}', ErrorCode.BAD_REQUEST),
    "a huge id": ('{"type":"subscribe","channel":"open","id":1' + "0" * 50_000 + "}", ErrorCode.INVALID_JSON),
    "an empty channel": ('{"type":"subscribe","channel":""}', ErrorCode.INVALID_CHANNEL),
    "a 10,000 character channel": (
        json.dumps({"type": "subscribe", "channel": "x" * 10_000}),
        ErrorCode.INVALID_CHANNEL,
    ),
    "a line break in a channel": (r'{"type":"subscribe","channel":"a\nb"}', ErrorCode.INVALID_CHANNEL),
    "the channel __proto__": ('{"type":"subscribe","channel":"__proto__"}', ErrorCode.DENIED),
    "no token": ('{"type":"subscribe","channel":"secret"}', ErrorCode.DENIED),
    "an expired token": ('{"type":"subscribe","channel":"secret","token":"expired"}', ErrorCode.TOKEN_EXPIRED),
    "a forged token": ('{"type":"subscribe","channel":"secret","token":"forged"}', ErrorCode.DENIED),
    "another channel's token": ('{"type":"subscribe","channel":"secret","token":"order:7"}', ErrorCode.DENIED),
    "a broken authorization": ('{"type":"subscribe","channel":"boom"}', ErrorCode.INTERNAL),
}

ENDED = {
    "10 MB of text": ("x" * 10_000_000, False, 1009),
    "a binary frame": (b'{"type":"ping"}', False, DisconnectCode.NOT_TEXT),
    "bad UTF-8": (b'{"type":"subscribe","channel":"\xff\xfe"}', True, 1007),
    "half a character": (b"\xe2\x82", True, 1007),
}


@pytest.fixture
def witness(served):
    """A client that is there before, during and after."""
    with served.peer() as peer:
        assert peer.subscribe("open:witness")["type"] == "subscribed"
        yield peer


def assert_served(served, witness):
    """Both an old and a new client get what is published."""
    with served.peer() as newcomer:
        assert newcomer.subscribe("open:newcomer")["type"] == "subscribed"
        for peer, channel in (witness, "open:witness"), (newcomer, "open:newcomer"):
            served.publish(channel, {"still": "here"})
            assert peer.receive() == {"channel": channel, "data": {"still": "here"}}


@pytest.mark.parametrize(("text", "code"), ANSWERED.values(), ids=ANSWERED)
def test_bad_command_is_answered_with_its_code(served, witness, text, code):
    """The client is told, stays connected and may do better."""
    with served.peer() as peer:
        peer.socket.send(text)
        answer = peer.receive()
        assert answer == {"type": "error", "code": code, "message": code.message, "temporary": code.temporary}
        assert peer.subscribe("open")["type"] == "subscribed"
        assert_served(served, witness)


@pytest.mark.parametrize(("data", "as_text", "code"), ENDED.values(), ids=ENDED)
def test_bad_frame_ends_the_connection_with_its_code(served, witness, data, as_text, code):
    """The client is closed with a documented code."""
    with served.peer() as peer:
        with contextlib.suppress(ConnectionClosed):  # while it is still sending
            peer.socket.send(data, text=as_text or None)
        words, close_code = peer.rest()
        assert close_code == code
        if code is DisconnectCode.NOT_TEXT:
            assert words == [{"type": "disconnect", "code": code, "message": code.message, "reconnect": False}]
        assert_served(served, witness)


def test_frame_that_breaks_the_rules_of_websocket_ends_the_connection(served, witness):
    """By WebSocket's own code."""
    with served.peer() as peer:
        reserved_opcode = bytes([0x83, 0x80, 0, 0, 0, 0])
        peer.socket.socket.sendall(reserved_opcode)
        assert peer.rest() == ([], 1002)
        assert_served(served, witness)


def test_thousand_subscriptions_in_a_burst_stop_at_the_limit(served, witness):
    """The first hundred are granted, the others refused one by one, and the connection lives on."""
    with served.peer() as peer:
        for number in range(1, 1001):
            peer.send(type="subscribe", id=number, channel=f"open:{number}")
        answers = [peer.receive() for _ in range(1000)]
        assert [answer["id"] for answer in answers if answer["type"] == "subscribed"] == list(range(1, 101))
        assert {answer["code"] for answer in answers[100:]} == {ErrorCode.LIMIT_EXCEEDED}
        served.publish("open:100", 1)
        assert peer.receive() == {"channel": "open:100", "data": 1}
        assert_served(served, witness)


def test_twenty_bad_commands_in_a_row_end_the_connection(served, witness):
    """Each is answered; after the last the client is told not to come back."""
    with served.peer() as peer:
        for _ in range(20):
            peer.socket.send("?")
        words, close_code = peer.rest()
        assert [word["type"] for word in words] == ["error"] * 20 + ["disconnect"]
        assert close_code == DisconnectCode.TOO_MANY_ERRORS
        assert_served(served, witness)


def test_flood_of_commands_ends_the_connection(served, witness):
    """What is too much is not done, and the client is told not to come back."""
    with served.peer() as peer:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(3000):
                peer.send(type="ping")
        words, close_code = peer.rest()
        types = [word["type"] for word in words]
        assert types[-1] == "disconnect"
        assert types.count("error") >= 20
        assert types.count("pong") < 2000
        assert close_code == DisconnectCode.TOO_MANY_COMMANDS
        assert_served(served, witness)


def test_flood_of_long_commands_ends_the_connection(served, witness):
    """It is bytes that count."""
    with served.peer() as peer:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                peer.send(type="ping", x="x" * 65_000)
        assert peer.rest()[1] == DisconnectCode.TOO_MANY_COMMANDS
        assert_served(served, witness)


def test_page_with_all_its_subscriptions_comes_back_as_often_as_it_likes(served):
    """The limits are not for those: here it has a hundred, by tokens that are worth nothing any more."""
    for _ in range(3):
        with served.peer() as peer:
            for number in range(1, 101):
                peer.send(type="subscribe", id=number, channel=f"secret:{number}", token="x" * 1000, since="e:1-1")
            assert {peer.receive()["code"] for _ in range(100)} == {ErrorCode.DENIED}
            peer.send(type="ping")
            assert peer.receive() == {"type": "pong"}


def test_flood_without_reading_is_read_no_longer(serve, monkeypatch):
    """Answers that nobody takes do not pile up: the client is heard no more, and let go like a silent one."""
    monkeypatch.setattr(reading, "COMMAND_BURST", 10**9)
    monkeypatch.setattr(reading, "MESSAGES_AT_ONCE", 10**9)
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT", 0.1)
    monkeypatch.setattr(lingering, "LINGER_TIMEOUT", 0.1)
    served = serve(ping_interval=0.5)
    with served.peer(max_queue=1) as peer:
        peer.subscribe("open:flood")
        with contextlib.suppress(ConnectionClosed):
            while True:
                peer.send(type="unsubscribe", channel="x" * 1000)
        assert not served.push.hub.channels()
        assert served.push.counts.ended[DisconnectCode.NO_PONG] == 1
