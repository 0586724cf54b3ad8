"""From when on a page is told what is published: the time of its request, wherever and whenever it is rendered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse, StreamingHttpResponse
from django.template import Context, Engine
from django.urls import path

from django_jugpush import declarations
from django_jugpush.access import moments
from django_jugpush.access.moments import KEY, MARGIN, moment_of
from django_jugpush.brokers.dummy import DummyBroker
from django_jugpush.brokers.local import LocalFeed
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.html import subscribe
from django_jugpush.publishing.delivery import use_broker
from tests.test_html import elements

TEMPLATE = Engine(libraries={"juggernaut": "django_jugpush.templatetags.juggernaut"}).from_string(
    "{% load juggernaut %}{% juggernaut_subscribe 'a' %}{% juggernaut_subscribe 'banner' 'b' %}"
)


class Clock:
    """A time that goes on while a view works."""

    def __init__(self):
        self.now = 1_000.0

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch, declared):
    clock = Clock()
    monkeypatch.setattr(moments, "time", clock)
    declarations.channel("banner", public=True)
    return clock


@pytest.fixture(autouse=True)
def urls(settings, clock):
    settings.ROOT_URLCONF = tuple(routes(clock))
    settings.MIDDLEWARE = []


def page(request):
    return HttpResponse(TEMPLATE.render(Context({"request": request})))


def routes(clock):
    """Return the addresses of views that take their time before they render."""

    def sync_view(request):
        clock.now += 5
        return page(request)

    async def async_view(request):
        clock.now += 5
        return await sync_to_async(page)(request)

    async def async_view_that_renders_itself(request):
        clock.now += 5
        return page(request)

    def streaming_view(request):
        def parts():
            clock.now += 5
            yield page(request).content

        return StreamingHttpResponse(parts())

    def wrapped_view(request):
        clock.now += 5
        return page(SimpleNamespace(_request=request))

    views = [sync_view, async_view, async_view_that_renders_itself, streaming_view, wrapped_view]
    return [path(f"{view.__name__}/", view) for view in views]


def wsgi(name):
    """Ask a real WSGI application, which gets its environment from a server."""
    environ = {"PATH_INFO": f"/{name}/"}
    setup_testing_defaults(environ)
    response = WSGIHandler()(environ, lambda status, headers: None)
    try:
        return b"".join(response).decode()
    finally:
        response.close()


def asgi(name):
    """Ask a real ASGI application, which gets its scope from a server."""
    return async_to_sync(ask_asgi)(name)


async def ask_asgi(name):
    headers = [(b"host", b"testserver")]
    scope = {"type": "http", "method": "GET", "path": f"/{name}/", "query_string": b"", "headers": headers}
    server = ApplicationCommunicator(ASGIHandler(), scope)
    await server.send_input({"type": "http.request", "body": b""})
    body, start = b"", await server.receive_output(5)
    assert start["status"] == 200
    while True:
        part = await server.receive_output(5)
        body += part.get("body", b"")
        if not part.get("more_body"):
            await server.wait(5)
            return body.decode()


@pytest.fixture
def handler(request, client, async_client):
    """Return what asks for a page."""

    def django_client(name):
        return "".join(part.decode() for part in client.get(f"/{name}/"))

    def django_async_client(name):
        async def ask():
            response = await async_client.get(f"/{name}/")
            if response.streaming:
                return "".join([part.decode() async for part in response])
            return response.content.decode()

        return async_to_sync(ask)()

    return {"wsgi": wsgi, "asgi": asgi, "client": django_client, "async_client": django_async_client}[request.param]


@pytest.fixture(autouse=True)
def kept_connections():
    """Do not let the handlers close the connections of the tests' databases."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def since(markup):
    """Return the moments that a page's elements name."""
    return [attributes["since"] for name, attributes in elements(markup) if name == "juggernaut-subscribe"]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators:Warning")
@pytest.mark.parametrize("view", [route.callback.__name__ for route in routes(Clock())])
@pytest.mark.parametrize("handler", ["wsgi", "asgi", "client", "async_client"], indirect=True)
def test_page_is_told_what_is_published_since_its_request(handler, view, clock):
    """Before the view has asked its first question; each element of the page, whether public or not."""
    assert since(handler(view)) == [":0-999000"] * 3
    clock.now = 2_000.0
    assert since(handler(view)) == [":0-1999000"] * 3


@pytest.mark.parametrize("handler", ["wsgi", "asgi"], indirect=True)
def test_nothing_is_lost_between_the_views_query_and_the_subscription(handler, clock, settings):
    """What is published meanwhile is what a page gets when it subscribes; what its view has read is not."""
    feed = LocalFeed(clock=clock.time)

    def publish(word):
        clock.now += 5
        feed.receive([Publication(id=word, channel="a")])

    def view(request):
        publish("after the query")
        clock.now += 5
        return page(request)

    settings.ROOT_URLCONF = (path("view/", view),)
    publish("before the request")
    clock.now += 5
    (moment, *_) = since(handler("view"))
    publish("on its way")
    replay = async_to_sync(feed.read)(":a", Position.parse(moment))
    assert replay.is_complete
    assert [publication.id for publication in replay.publications] == ["after the query", "on its way"]


def test_requests_of_one_loop_do_not_mix(clock, settings):
    """What took long keeps its own time when another request comes in between."""
    reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        reached.set()
        await may_go_on.wait()
        return page(request)

    async def quick(request):
        return page(request)

    settings.ROOT_URLCONF = (path("slow/", slow), path("quick/", quick))

    async def both():
        asking = asyncio.create_task(ask_asgi("slow"))
        await asyncio.wait_for(reached.wait(), 5)
        clock.now += 5
        answer = await ask_asgi("quick")
        may_go_on.set()
        return since(await asking), since(answer)

    assert async_to_sync(both)() == ([":0-999000"] * 3, [":0-1004000"] * 3)


def test_request_that_no_server_took_is_of_the_time_of_its_rendering(rf, clock):
    """Such as one that a test or a management command makes."""
    request = rf.get("/")
    clock.now += 5
    assert since(subscribe(request, ["banner"])) == [":0-1004000"]


def test_no_header_can_claim_another_time(client, clock):
    """Or a visitor could ask for what was published before his rights began."""
    headers = {KEY: "1.0", "jugpush-started": "1.0", "jugpush_started": "1.0"}
    assert since(client.get("/sync_view/", headers=headers).text) == [":0-999000"] * 3


@pytest.mark.parametrize("skew", [2.5, -2.5])
def test_moment_is_by_the_brokers_clock(rf, skew):
    """Since that is what it is compared with."""
    broker = DummyBroker()
    broker.skew = skew
    with use_broker(broker):
        assert moment_of(rf.get("/", **{KEY: 100.0})).ms == (100 - MARGIN + skew) * 1000


def test_broker_that_cannot_be_made_costs_no_page(rf, settings):
    """Whoever publishes is told; here its clock is taken to be right."""
    settings.JUGPUSH = {"BROKER": "nothing.like.this"}
    assert moment_of(rf.get("/", **{KEY: 100.0})).ms == (100 - MARGIN) * 1000
