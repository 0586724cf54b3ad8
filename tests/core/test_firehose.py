"""What anyone may publish to one channel of a Redis."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jugpush.core.codec import encode_publication
from django_jugpush.core.firehose import MAX_CHANNELS, Firehose, read_message
from django_jugpush.core.publication import Publication


def read(message, max_size=65_536):
    """Return the publications of a message, and what is wrong with it."""
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return read_message(raw, max_size=max_size)


def delivered(message, **options):
    """Return what the browsers get."""
    publications, _ = read(message, **options)
    return [json.loads(encode_publication(publication, spread=None)) for publication in publications]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
messages = st.binary() | st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("channels", "channel", "data", "except", "type", "code", "stale", "version"), json_values),
).map(lambda message: json.dumps(message).encode())


@given(messages)
def test_any_message_gives_publications_that_browsers_understand_or_a_complaint(message):
    """Whatever is in it: it is never taken for a word of the protocol, and never raises."""
    publications, complaint = read(message)
    assert publications or complaint
    for publication in publications:
        text = encode_publication(publication, spread=None)
        assert b"\n" not in text
        assert json.loads(text).keys() == {"channel", "data"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"channels": ["c1"], "data": "foo"}, [{"channel": "c1", "data": "foo"}]),
        ({"channels": "c1", "data": 1}, [{"channel": "c1", "data": 1}]),
        ({"channel": "c1", "data": 2}, [{"channel": "c1", "data": 2}]),
        ({"channel": ["c1", "c2"], "data": 2}, [{"channel": "c1", "data": 2}, {"channel": "c2", "data": 2}]),
        ({"channels": [], "channel": "c1", "data": 2}, []),
        ({"channels": "", "channel": "c1", "data": 2}, [{"channel": "c1", "data": 2}]),
        ({"channels": None, "channel": "c1", "data": 2}, [{"channel": "c1", "data": 2}]),
        ({"channels": ["c1"]}, [{"channel": "c1", "data": None}]),
        ({"channels": ["b", "a", "b"], "data": 1}, [{"channel": "b", "data": 1}, {"channel": "a", "data": 1}]),
        (b'{"channels":["c1"],"data":"x","data":"y"}', [{"channel": "c1", "data": "y"}]),
        (b'{"channels":["c1"],"data":"\xff"}', [{"channel": "c1", "data": "�"}]),
        (b'{"channels":["c1"],"data":"\\ud800"}', [{"channel": "c1", "data": "�"}]),
        (b'\n{"channels":["c1"],\r\n"data":[\n1,\n2]}\n', [{"channel": "c1", "data": [1, 2]}]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_message_of_2011_is_delivered(message, expected):
    assert delivered(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"null",
        b"1",
        b'"text"',
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe",
        b'{"channels":["c1"],"data":NaN}',
        b'{"channels":["c1"],"data":1e999}',
        b'{"channels":5,"data":1}',
        b'{"channels":{"0":"c1","length":1},"data":1}',
        b'{"channels":[["c1"]],"data":1}',
        b'{"data":1}',
        b'{"channels":["c1"],"data":' + b"[" * 50_000,
        b'{"channels":["c1"],"data":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"channels":["' + b"x" * 300 + b'"],"data":1}',
        b'{"channels":["a\\nb"],"data":1}',
    ],
    ids=lambda message: repr(message[:50]),
)
def test_message_without_sense_delivers_nothing_and_says_why(message):
    publications, complaint = read(message)
    assert publications == []
    assert complaint
    assert len(complaint) < 400


@pytest.mark.parametrize("name", ["constructor", "__proto__", "toString", "undefined", "hasOwnProperty"])
def test_names_that_stopped_the_original_are_names_like_others(name):
    assert delivered({"channels": [name], "data": 1}) == [{"channel": name, "data": 1}]


@pytest.mark.parametrize("name", ["user:42", "session:x", "presence:room", "jugpush:control"])
def test_reserved_name_is_refused_and_the_others_are_served(name):
    publications, complaint = read({"channels": ["a", name, "b"], "data": 1})
    assert [publication.channel for publication in publications] == ["a", "b"]
    assert name in complaint


@pytest.mark.parametrize(
    "forged",
    [
        {"type": "disconnect", "code": 3500, "reconnect": False},
        {"type": "stale", "reason": "gap", "spread": 0},
        {"stale": "gap"},
        {"version": 2**60},
        {"id": "mine", "position": "x1:9-9", "spread": 10**9, "token": "t", "html": "<script>"},
        {"toJSON": 1, "getChannels": 1},
    ],
    ids=str,
)
def test_other_keys_are_left_out(forged):
    """So nothing in a message can pass for a word of the protocol."""
    publications, complaint = read({"channels": ["c1"], "data": 1} | forged)
    assert publications == [Publication(id="", channel="c1", data=publications[0].data)]
    assert delivered({"channels": ["c1"], "data": 1} | forged) == [{"channel": "c1", "data": 1}]
    assert not complaint


@pytest.mark.parametrize(
    ("given", "excluded"),
    [
        ("one", ("one",)),
        (["one", "two"], ("one", "two")),
        (["one", 2, None, ""], ("one",)),
        ([], ()),
        ("", ()),
        (None, ()),
        ({"one": 1}, ()),
        (17, ()),
    ],
    ids=str,
)
def test_except_names_clients_as_text(given, excluded):
    """Whatever else stands there excludes nobody, and browsers are not told of it."""
    (publication,), complaint = read({"channels": ["c1"], "data": 1, "except": given})
    assert publication.exclude == excluded
    assert not complaint
    assert b"one" not in encode_publication(publication, spread=None)


def test_sizes_are_limited():
    """That of the data, that of the whole, and the number of names."""
    assert delivered({"channels": ["c1"], "data": "x" * 98}, max_size=100)
    assert "MAX_MESSAGE_SIZE" in read({"channels": ["c1"], "data": "x" * 99}, max_size=100)[1]
    assert read(b" " * 1_000_000) == ([], "it is too long")
    assert len(delivered({"channels": [str(number) for number in range(MAX_CHANNELS)]})) == MAX_CHANNELS
    assert read({"channels": [str(number) for number in range(MAX_CHANNELS + 1)]})[0] == []


def test_log_mentions_one_message_a_second(caplog):
    """And how many more there were."""
    now = 100.0
    firehose = Firehose(clock=lambda: now)
    assert len(firehose.receive(b'{"channels":["a"]}')) == 1
    for _ in range(50):
        assert firehose.receive(b"nonsense") == []
    now = 101.0
    firehose.receive(b"nonsense")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "49 more" in caplog.messages[1]
