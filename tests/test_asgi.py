"""Putting a push server together, and mounting it. ``tests/mount`` does it with real servers."""

from __future__ import annotations

import asyncio

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_jugpush.asgi import make_push_server, make_push_thread, push_application
from django_jugpush.brokers.local import LocalFeed
from django_jugpush.brokers.redis import RedisFeed
from django_jugpush.claim import LocalClaim


def application(name, calls):
    async def call(scope, receive, send):
        calls.append((name, scope["type"], scope.get("path")))

    return call


@pytest.fixture
def route():
    """A function that says who gets a scope: the project or the push server."""
    calls = []
    mounted = push_application(application("project", calls), push=application("push", calls))

    def ask(type, path=None):
        scope = {"type": type} | ({"path": path} if path else {})
        asyncio.run(mounted(scope, None, None))
        return calls.pop()[0]

    return ask


@pytest.mark.parametrize("type", ["http", "websocket"])
def test_what_is_under_the_mount_point_is_push(route, type):
    """Requests and WebSockets alike; a project may have others of its own."""
    assert route(type, "/juggernaut/websocket") == "push"
    assert [route(type, path) for path in ("/", "/chat/", "/juggernaut", "/juggernauts/", "/x/juggernaut/")] == (
        ["project"] * 5
    )


def test_lifespan_is_the_push_servers(route):
    """Django's application raises when it hears of it."""
    assert route("lifespan") == "push"


def test_mount_point_follows_the_setting(settings):
    settings.JUGPUSH = {"PUBLIC_URL": "https://shop.example/live/push"}
    calls = []
    mounted = push_application(application("project", calls), push=application("push", calls))
    for path in ("/live/push/websocket", "/juggernaut/websocket"):
        asyncio.run(mounted({"type": "websocket", "path": path}, None, None))
    assert [name for name, *_ in calls] == ["push", "project"]


def test_public_url_without_a_path_cannot_be_mounted(settings):
    """Nothing would be left for the project."""
    settings.JUGPUSH = {"PUBLIC_URL": "https://push.shop.example/"}
    with pytest.raises(ImproperlyConfigured, match="needs a path"):
        push_application(application("project", []))


def test_without_redis_there_is_one_server_and_it_takes_publications():
    push = make_push_server()
    assert isinstance(push.feed, LocalFeed)
    assert isinstance(push.life.claim, LocalClaim)
    assert push.publish_endpoint is not None


def test_with_redis_there_may_be_many_and_none_takes_publications():
    """They come by Redis."""
    push = make_push_server(broker="redis://127.0.0.1/1")
    assert isinstance(push.feed, RedisFeed)
    assert push.life.claim is None
    assert push.publish_endpoint is None


def test_runserver_needs_no_claim():
    """Two of them may run, each on its own port."""
    assert make_push_thread()._push.life.claim is None


def test_arguments_stand_in_for_settings(settings):
    settings.JUGPUSH = {"BROKER": "redis://127.0.0.1", "PUBLIC_URL": "/live/"}
    push = make_push_server(broker="dummy://", path="/x/")
    assert isinstance(push.feed, LocalFeed)
    assert push.config.path == "/x/"


def test_broker_that_cannot_be_heard_is_a_mistake_in_the_setting():
    with pytest.raises(ImproperlyConfigured, match="the scheme 'radish' is unknown"):
        make_push_server(broker="radish://127.0.0.1")
