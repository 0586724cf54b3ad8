"""Valid inputs, of which the broken ones are made."""

from __future__ import annotations

import json

import msgspec

from django_jugpush.core.publication import Publication
from tests.wire import frame, handshake

__all__ = ["COMMANDS", "FIREHOSE", "FRAMES", "REQUESTS", "UPGRADE", "publications"]

COMMANDS = [
    json.dumps(word).encode()
    for word in (
        {"type": "subscribe", "id": 1, "channel": "news"},
        {"type": "subscribe", "id": 2, "channel": "order:7", "token": "a" * 200, "since": "k3Fz0aQ_:41-1763924990001"},
        {"type": "subscribe", "id": 2**53 - 1, "channel": "\u017elu\u0165", "since": ""},
        {"type": "subscribe", "channel": "page", "since": ":0-1763924990001"},
        {"type": "unsubscribe", "id": 3, "channel": "news"},
        {"type": "meta", "data": {"page": "/orders/", "n": [1, 2.5, None, True]}},
        {"type": "event", "id": 4, "data": {"x": {"y": [1]}}},
        {"type": "event"},
        {"type": "ping"},
        {"type": "pong"},
        {"type": "unknown", "id": 5},
    )
]

FIREHOSE = [
    json.dumps(message).encode()
    for message in (
        {"channels": ["news", "banner"], "data": {"a": [1, "\u2028", None]}},
        {"channel": "news", "data": "text", "except": "client-0123456789"},
        {"channels": "news", "data": 1.5, "except": ["a", "b"], "type": "disconnect", "code": 3500},
        {"channels": ["user:1", "", "news"], "data": {"html": "<b>"}},
    )
]


def publications() -> list[Publication]:
    """Return some of each kind."""
    return [
        Publication(id="2", channel="news", data=msgspec.Raw(b'{"b":[1,2]}'), exclude=("client-0123456789",)),
        Publication(id="3", channel="news", stale="size"),
        Publication(id="4", channel="news", data=msgspec.Raw(b"null"), version=7, history=(5, 60.0), last=True),
    ]


FRAMES = [
    *(frame(1, command) for command in COMMANDS),
    frame(1, COMMANDS[0][:10], fin=False) + frame(0, COMMANDS[0][10:]),
    frame(1, b"", fin=False) + frame(9, b"between") + frame(0, COMMANDS[-2]),
    frame(9),
    frame(9, bytes(125)),
    frame(10, b"unasked"),
    frame(2, b"{}"),
    frame(8, b"\x03\xe8bye"),
    frame(8),
    frame(1, b"x" * 70_000),
    frame(1, "\u017e".encode() * 100),
]

UPGRADE = handshake("protocol=1&client=client-0123456789")

_POST = (
    b"POST /juggernaut/publish HTTP/1.1\r\n"
    b"Host: x\r\n"
    b"Content-Length: 5\r\n"
    b"Jugpush-Signature: v=1, t=1, mac=00\r\n"
    b"\r\n"
    b"hello"
)

REQUESTS = [
    UPGRADE,
    b"GET /juggernaut/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /readyz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9, 10.0.0.1\r\n\r\n",
    b"GET /juggernaut/ HTTP/1.0\r\n\r\n",
    _POST,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nExpect: 100-continue\r\n\r\n",
    b"GET /juggernaut/hello?nonce=nnnnnnnnnnnnnnnnnnnnnnnnnn HTTP/1.1\r\nHost: x\r\n\r\n",
]
