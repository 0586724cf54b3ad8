"""Whatever a client sends is answered with a documented code, and the server goes on for the others."""

from __future__ import annotations

import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from django_jugpush.core.codes import DisconnectCode, ErrorCode

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


def test_flood_without_reading_ends_as_slow(serve):
    """Answers that nobody reads count like publications."""
    served = serve(max_pending=50_000)
    with served.peer() as witness, served.peer(max_queue=1) as peer:
        witness.subscribe("open:witness")
        peer.subscribe("open:flood")
        with contextlib.suppress(ConnectionClosed):
            while served.push.hub.listeners("tests:open:flood"):
                peer.send(type="unsubscribe", channel="x" * 1000)
        words, close_code = peer.rest()
        assert (words[-1]["code"], close_code) == (DisconnectCode.SLOW, DisconnectCode.SLOW)
        assert words[-1]["reconnect"]
        assert_served(served, witness)
