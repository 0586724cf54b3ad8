"""Between the wire and values."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_jugpush.core.codec import BadCommand, decode_command, encode, encode_publication
from django_jugpush.core.codes import ErrorCode
from django_jugpush.core.commands import (
    Command,
    Connected,
    Disconnect,
    Error,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from django_jugpush.core.publication import Publication

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)

nearly_commands = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["subscribe", "unsubscribe", "ping", "pong", "meta", ""]) | json_values,
        "id": st.integers() | json_values,
        "channel": st.text(st.characters()) | json_values,
        "token": st.text() | json_values,
        "since": st.text() | json_values,
    },
)


def assert_understood_or_explained(data):
    command = decode_command(data)
    if isinstance(command, BadCommand):
        assert command.code in {ErrorCode.INVALID_JSON, ErrorCode.BAD_REQUEST, ErrorCode.UNKNOWN_TYPE}
        assert len(command.detail) <= 200
        assert command.id is None or 0 < command.id < 2**53
        # An answer can always be made of it.
        encode(Error(id=command.id, code=command.code, message=command.detail, temporary=False))
    else:
        assert isinstance(command, get_args(Command))


@given(st.binary())
@example(b"\xff")
@example(b'{"type":"subscribe","channel":"\xed\xa0\x80"}')
@example(b"[" * 100_000)
@example(b'{"type":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
@example(b'{"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
def test_any_bytes_are_understood_or_explained(data):
    """No bytes raise."""
    assert_understood_or_explained(data)


@given(st.text(st.characters()))
@example("\ud800")
@example(r'{"type":"subscribe","channel":"\ud800"}')
@example(r'{"type":"subscribe","channel":"\ud800\u0041"}')
def test_any_text_is_understood_or_explained(text):
    """No text raises, not even one that cannot be encoded."""
    assert_understood_or_explained(text)


@given(json_values | nearly_commands)
def test_any_json_is_understood_or_explained(value):
    """No JSON raises, however near it comes to a command."""
    assert_understood_or_explained(json.dumps(value))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (
            '{"type":"subscribe","id":1,"channel":"news","token":"t","since":""}',
            Subscribe(id=1, channel="news", token="t", since=""),
        ),
        ('{"channel":"news","type":"subscribe"}', Subscribe(channel="news")),
        ('{"type":"subscribe","channel":"news","id":null,"token":null,"since":null}', Subscribe(channel="news")),
        ('{"type":"unsubscribe","id":9007199254740991,"channel":"é"}', Unsubscribe(id=2**53 - 1, channel="é")),
        ('{"type":"ping"}', Ping()),
        ('{"type":"pong","later":{"versions":["may",{"add":"keys"}]}}', Pong()),
    ],
)
def test_commands_are_understood(text, command):
    """The tag stands anywhere, null is the same as nothing, and keys of later versions are skipped."""
    assert decode_command(text) == decode_command(text.encode()) == command


@pytest.mark.parametrize(
    ("text", "code", "id"),
    [
        ('{"type":"subscribe","id":3}', ErrorCode.BAD_REQUEST, 3),
        ('{"type":"subscribe","id":3,"channel":4}', ErrorCode.BAD_REQUEST, 3),
        ('{"type":"history","id":4,"data":{}}', ErrorCode.UNKNOWN_TYPE, 4),
        ('{"id":5}', ErrorCode.BAD_REQUEST, 5),
        ('{"type":7,"id":5}', ErrorCode.BAD_REQUEST, 5),
        ('{"type":"subscribe","id":0}', ErrorCode.BAD_REQUEST, None),
        ('{"type":"subscribe","id":9007199254740992}', ErrorCode.BAD_REQUEST, None),
        ('{"type":"subscribe","id":true}', ErrorCode.BAD_REQUEST, None),
        ('{"type":"subscribe","id":"6"}', ErrorCode.BAD_REQUEST, None),
        ("[1]", ErrorCode.INVALID_JSON, None),
        ('"subscribe"', ErrorCode.INVALID_JSON, None),
        ("", ErrorCode.INVALID_JSON, None),
    ],
)
def test_bad_command_keeps_its_id_and_gets_the_code_of_its_fault(text, code, id):
    """What can be read of a bad command is read, so that the answer finds its way."""
    command = decode_command(text)
    assert isinstance(command, BadCommand)
    assert (command.code, command.id) == (code, id)
    assert command.detail


def test_detail_quotes_little_of_what_was_sent():
    """A type of a megabyte is not sent back."""
    assert len(decode_command(json.dumps({"type": "x" * 1_000_000})).detail) == 200


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            Connected(protocol=1, client="c" * 16, ping=25000, place=0.618034),
            '{"type":"connected","protocol":1,"client":"cccccccccccccccc","ping":25000,"place":0.618034}',
        ),
        (Subscribed(id=1, channel="news"), '{"type":"subscribed","channel":"news","id":1}'),
        (
            Subscribed(channel="news", recovered=False, spread=0),
            '{"type":"subscribed","channel":"news","recovered":false,"spread":0}',
        ),
        (Unsubscribed(id=2, channel="news"), '{"type":"unsubscribed","channel":"news","id":2}'),
        (
            Error(code=ErrorCode.INTERNAL, message="m", temporary=True),
            '{"type":"error","code":100,"message":"m","temporary":true}',
        ),
        (
            Disconnect(code=3001, message="m", reconnect=True),
            '{"type":"disconnect","code":3001,"message":"m","reconnect":true}',
        ),
        (Ping(), '{"type":"ping"}'),
        (Pong(), '{"type":"pong"}'),
    ],
)
def test_replies_have_the_words_of_the_protocol(reply, text):
    """What a reply does not have is left out."""
    assert encode(reply) == text.encode()


def publication(data=b"null", **more):
    return Publication(id="p", channel="news", data=msgspec.Raw(data), **more)


def test_publication_carries_its_data_as_it_is():
    """Numbers and spaces of the publisher's JSON are left alone; its id and whom it excludes stay here."""
    message = encode_publication(publication(b'{"price": 1.10}', exclude=("me",)), spread=None)
    assert message == b'{"channel":"news","data":{"price": 1.10}}'


def test_publication_carries_version_and_spread():
    """Both are there only if they say something."""
    message = encode_publication(publication(b"1", version=7), spread=400)
    assert message == b'{"channel":"news","data":1,"version":7,"spread":400}'


def test_stale_publication_is_a_word_of_its_own():
    """Its data is left out."""
    message = encode_publication(publication(b"1", stale="size"), spread=0)
    assert message == b'{"type":"stale","channel":"news","reason":"size","spread":0}'


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
def test_publication_with_line_breaks_becomes_one_line(line_break):
    """Transports that end a message with a line break can carry it."""
    message = encode_publication(publication(b'{%b "a": "x\\ny"%b}' % (line_break, line_break)), spread=None)
    assert message == b'{"channel":"news","data":{"a":"x\\ny"}}'


def test_publication_that_is_not_utf_8_is_refused():
    """One broken byte would end the connection of every browser that gets it."""
    with pytest.raises(UnicodeError):
        encode_publication(publication(b'"\xff"'), spread=None)
