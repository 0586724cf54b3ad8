"""What clients send may hold secrets, in the wrong place too: none comes out in a log, in metrics, or in an answer."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from .conftest import TIMEOUT, Peer
from .running import running
from .test_metrics import ask

SECRET = "s3cr3t-canary"

HEADERS = {"Authorization": SECRET, "Cookie": f"sessionid={SECRET}", "X-Jugpush": SECRET}

WORDS = [
    {"type": "subscribe", "channel": "news", "token": SECRET},
    {"type": "subscribe", "channel": "boom", "token": SECRET},
    {"type": "subscribe", "channel": "a", "token": f"b/{SECRET}"},
    {"type": "subscribe", "channel": "open", "token": [SECRET]},
    {"type": SECRET},
    {"type": "event", "data": SECRET},
    {"type": "meta", "data": SECRET * 1000},
]


def ask_by_http(address):
    """Send it in addresses, headers and bodies; return what is answered."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    for method, path in ("GET", f"/healthz?token={SECRET}"), ("POST", f"/publish?{SECRET}"):
        connection.request(method, path, SECRET.encode() if method == "POST" else None, HEADERS)
        response = connection.getresponse()
        yield repr(response.headers) + response.read().decode()
    connection.close()


def talk(url):
    """Send it in all that a client can say; return what is answered."""
    with connect(f"{url}&token={SECRET}", additional_headers=HEADERS, open_timeout=TIMEOUT) as socket:
        peer = Peer(socket)
        for word in WORDS:
            peer.send(**word)
        socket.send(f"{SECRET} is no JSON")
        yield from (repr(peer.receive()) for _ in range(2 + len(WORDS)))
        with contextlib.suppress(ConnectionClosed):
            socket.send(SECRET.encode())
        yield repr(peer.rest())


def test_no_secret_comes_out(caplog):
    """As ``manage.py juggernaut`` is set up, with everything written down that can be."""
    for client in "websockets.client", "asyncio":
        caplog.set_level(logging.WARNING, client)
    caplog.set_level(logging.DEBUG)
    with running() as server:
        said = [*ask_by_http(server.address), *talk(server.url)]
        with contextlib.suppress(InvalidStatus), connect(f"ws://127.0.0.1:{server.address[1]}/x?{SECRET}"):
            pass
        said.append(ask(server.push, loop=asyncio.run)[1])
    said += caplog.messages
    assert any("refused" in text for text in said)
    assert any("GET /healthz 200" in text for text in said)
    assert [text for text in said if SECRET in text] == []


def test_strangers_text_can_write_no_lines(served, caplog):
    """What is said of a client in a log is short, and quoted."""
    with served.peer() as peer:
        for channel in "x" * 190, "\u2028forged line", "a\nb":
            peer.subscribe(channel)
    assert all(len(message) < 400 and message.isprintable() for message in caplog.messages)
