"""What is answered at which path."""

from __future__ import annotations

import asyncio
import http.client

import pytest

from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig

from .conftest import MemoryFeed, authorize, origin_allowed


async def endpoint(scope, receive, send):
    """Stand in for the door of Django processes."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"endpoint"})


def make_push(feed=None, **more):
    return PushServer(
        ServerConfig(), authorize=authorize, origin_allowed=origin_allowed, feed=feed or MemoryFeed(), **more
    )


def get(push, path, method="GET", **more):
    """Ask without a server; return status, headers and body."""
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        scope = {"type": "http", "method": method, "path": path, "headers": []} | more
        await push(scope, None, send)
        await push.stop()

    asyncio.run(main())
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


@pytest.mark.parametrize("path", ["/juggernaut/healthz", "/healthz"])
def test_healthz_is_ok(served, path):
    """Over a real connection."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"ok")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/juggernaut/healthz", 200),
        ("POST", "/juggernaut/healthz", 404),
        ("GET", "/juggernaut/readyz", 200),
        ("HEAD", "/readyz", 200),
        ("GET", "/juggernaut/metrics", 404),
        ("GET", "/juggernaut/websocket", 426),
        ("GET", "/juggernaut/", 204),
        ("GET", "/elsewhere", 404),
        ("GET", "", 204),
        ("POST", "/juggernaut/publish", 404),
        ("GET", "/juggernaut/hello", 404),
    ],
)
def test_paths_have_their_answers(method, path, status):
    """Without a publish endpoint its paths are unknown."""
    assert get(make_push(), path, method)[0] == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/juggernaut/publish", 299),
        ("POST", "/publish", 299),
        ("GET", "/juggernaut/hello", 299),
        ("GET", "/juggernaut/publish", 404),
        ("POST", "/juggernaut/hello", 404),
    ],
)
def test_publish_endpoint_has_two_paths(method, path, status):
    """Where there is one."""
    assert get(make_push(publish_endpoint=endpoint), path, method)[0] == status


def test_publication_may_come_before_the_first_client():
    """The server starts with the first that needs it."""
    feed = MemoryFeed()
    get(make_push(feed, publish_endpoint=endpoint), "/publish", "POST")
    assert feed.starts == 1


class Taken:
    """A claim that another process has."""

    async def take(self):
        return False

    async def give_up(self):
        pass


def test_server_that_is_not_the_one_says_so():
    """It lives, but wants neither clients nor publications; that it belongs to the project it can still prove."""

    def ask(path, method="GET"):
        return get(make_push(publish_endpoint=endpoint, claim=Taken()), path, method)[::2]

    assert ask("/healthz") == (200, b"ok")
    assert ask("/readyz") == (503, b"another process is the push server")
    assert ask("/publish", "POST") == (503, b"another process is the push server")
    assert ask("/hello") == (299, b"endpoint")


def test_server_that_is_cut_off_is_not_ready():
    """Clients that it has may stay; others should not come."""
    feed = MemoryFeed()
    feed.is_connected = False
    assert get(make_push(feed), "/readyz")[::2] == (503, b"the broker cannot be heard")


def test_server_that_is_stopping_is_not_ready():
    """And does not start again because it is asked."""
    push = make_push(feed := MemoryFeed())
    asyncio.run(push.drain())
    assert get(push, "/readyz")[::2] == (503, b"it is shutting down")
    assert feed.starts == 0


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        ("", "/juggernaut/healthz"),
        ("/site", "/site/juggernaut/healthz"),
        ("/site/", "/site/healthz"),
        ("/juggernaut", "/juggernaut/healthz"),
        ("/jug", "/juggernaut/healthz"),
    ],
)
def test_server_may_be_mounted_anywhere(root_path, path):
    """The application above it says where."""
    assert get(make_push(), path, root_path=root_path)[0] == 200


def test_lifespan_starts_and_stops():
    """Servers that speak it need no other call."""
    push = make_push(feed := MemoryFeed())
    sent = []

    async def main():
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive():
            return next(messages)

        async def send(message):
            sent.append((message["type"], feed.deliver is not None))

        await push({"type": "lifespan"}, receive, send)

    asyncio.run(main())
    assert sent == [("lifespan.startup.complete", True), ("lifespan.shutdown.complete", False)]


def test_unknown_scope_is_the_servers_mistake():
    """It is not passed over in silence."""
    with pytest.raises(ValueError, match="unknown ASGI scope 'tea'"):
        asyncio.run(make_push()({"type": "tea"}, None, None))
