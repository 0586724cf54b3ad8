"""A real uvicorn on a free port, with a push server whose rights and publications the test decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading

import msgspec
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from django_jugpush.brokers.base import Feed
from django_jugpush.core.grants import Grant
from django_jugpush.core.publication import Publication
from django_jugpush.exceptions import InvalidToken, SubscriptionDenied, TokenExpired
from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig
from django_jugpush.server.http import uvicorn_options

NAMESPACE = "tests"

TIMEOUT = 10
"""Seconds after which a test no longer waits: far above what anything takes."""


def authorize(channel, token):
    """Stand in for the access half: a token reads ``<channel>`` or ``<channel>/<user>``; ``open`` needs none."""
    if channel == "boom":
        raise RuntimeError("the database is away")
    if token is None:
        if channel.startswith("open"):
            return Grant(channel=channel, namespace=NAMESPACE)
        raise SubscriptionDenied("no token, and no public pattern matches")
    if token == "expired":
        raise TokenExpired("expired 5 minutes ago")
    granted, _, user = token.partition("/")
    if granted != channel:
        raise InvalidToken("made for another channel, or forged")
    login = f"login-of-{user}" if user else None
    return Grant(channel=channel, namespace=NAMESPACE, user=user or None, login=login, granted_by="page")


def origin_allowed(origin, *, scheme, headers):
    """Stand in for the access half."""
    assert scheme == "http"
    assert headers["upgrade"] == "websocket"
    return origin != "https://evil.example"


class MemoryFeed(Feed):
    """Delivers what the test hands it."""

    def __init__(self):
        self.deliver = None
        self.channels = set()
        self.starts = 0

    async def start(self, deliver):
        self.deliver = deliver
        self.starts += 1

    async def stop(self):
        self.deliver = None

    def listen(self, channels):
        self.channels.update(channels)

    def forget(self, channels):
        self.channels.difference_update(channels)

    async def ready(self, channel):
        """Return at once."""


class Connection:
    """A way to a client without a socket: keeps what it is sent."""

    is_busy = False

    def __init__(self):
        self.frames = []
        self.closed = None

    def wire(self, message):
        return message

    def send(self, frame):
        self.frames.append(frame)

    def close(self, code, reason):
        self.closed = code


SCOPE = {"type": "websocket", "query_string": b"protocol=1", "headers": []}


def make_push(feed=None, **config):
    return PushServer(
        ServerConfig(**config), authorize=authorize, origin_allowed=lambda *_, **__: True, feed=feed or MemoryFeed()
    )


class Peer:
    """A client that speaks JSON."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, **word):
        self.socket.send(json.dumps(word))

    def receive(self):
        return json.loads(self.socket.recv(TIMEOUT))

    def subscribe(self, channel, **word):
        """Subscribe and return the answer."""
        self.send(type="subscribe", id=1, channel=channel, **word)
        return self.receive()

    def rest(self):
        """Return what comes until the connection ends, and the code that it ends with."""
        words = []
        try:
            while True:
                words.append(self.receive())
        except ConnectionClosed as closed:
            return words, closed.rcvd and closed.rcvd.code


class Served:
    """A push server behind uvicorn, in a thread."""

    def __init__(self, *, feed=None, takers=(), **config):
        self.config = ServerConfig(**config)
        self.feed = feed or MemoryFeed()
        self.push = PushServer(
            self.config, authorize=authorize, origin_allowed=origin_allowed, feed=self.feed, takers=takers
        )
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.uvicorn = uvicorn.Server(
            uvicorn.Config(self.push, log_config=None, timeout_graceful_shutdown=2, **uvicorn_options(self.push))
        )
        self.loop = None
        self.has_loop = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        self.has_loop.set()
        await self.uvicorn.serve([self.socket])

    def start(self):
        self.thread.start()
        assert self.has_loop.wait(TIMEOUT)  # the socket listens already, so clients may come

    def stop(self):
        self.uvicorn.should_exit = True
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive()

    def url(self, path="/juggernaut/websocket", query="protocol=1"):
        return f"ws://127.0.0.1:{self.port}{path}?{query}"

    def run(self, coroutine):
        """Run a coroutine on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT)

    def call(self, function, *arguments):
        """Call a function on the server's event loop."""

        async def call():
            return function(*arguments)

        return self.run(call())

    def publish(self, channel, data, **more):
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.call(
            self.feed.deliver,
            [Publication(id="1", channel=channel, namespace=NAMESPACE, data=msgspec.Raw(raw), **more)],
        )

    @contextlib.contextmanager
    def peer(self, *, greet=True, path="/juggernaut/websocket", query="protocol=1", **options):
        """A connected client; it has read its greeting unless ``greet`` is false."""
        options = {"ping_interval": None, "open_timeout": TIMEOUT, "close_timeout": 1, "max_size": None} | options
        with connect(self.url(path, query), **options) as socket:
            peer = Peer(socket)
            if greet:
                assert peer.receive()["type"] == "connected"
            yield peer


@pytest.fixture
def serve():
    """A function that starts a push server with this configuration and returns it."""
    with contextlib.ExitStack() as stack:

        def start(**config):
            served = Served(**config)
            served.start()
            stack.callback(served.stop)
            return served

        yield start


@pytest.fixture(scope="module")
def served():
    """A push server with the default configuration, for all tests of a module."""
    served = Served()
    served.start()
    yield served
    served.stop()
