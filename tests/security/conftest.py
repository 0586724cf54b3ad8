"""Two push servers on one Redis, a site with logins, and browsers."""

from __future__ import annotations

import contextlib

import pytest

from django_jugpush import channel, declarations
from django_jugpush.access import receivers
from tests.security.site import Browser, PushProcess, Tab


@pytest.fixture(autouse=True)
def project(settings, monkeypatch, redis_server):
    """The site's settings, its channels, and a Redis in which nothing happened yet."""
    with redis_server.client() as client:
        client.flushall()
    settings.ROOT_URLCONF = "tests.security.site"
    settings.JUGPUSH = {"BROKER": redis_server.url, "PING_INTERVAL": 2.5}
    monkeypatch.setattr(declarations, "_channels", [])
    monkeypatch.setattr(declarations, "_with_options", [])
    declarations._find_options.cache_clear()
    receivers._told.clear()
    channel("banner", public=True)
    channel("ruled", permission="app.view_order")
    yield
    declarations._find_options.cache_clear()


@pytest.fixture
def start():
    """Start a push server."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            process = PushProcess(**options)
            stack.callback(process.stop)
            return process

        yield start


@pytest.fixture
def servers(start):
    """Two of them."""
    return [start(), start()]


@pytest.fixture
def open_tab():
    """Open a page's connection to a push server."""
    with contextlib.ExitStack() as stack:

        def open_tab(server, **options):
            tab = Tab(server.port, **options)
            stack.callback(tab.close)
            return tab

        yield open_tab


@pytest.fixture
def browser():
    """A browser in which somebody is signed in by name."""

    def browser(name=None):
        opened = Browser()
        if name:
            opened.get(f"/sign-in/{name}/")
        return opened

    return browser
