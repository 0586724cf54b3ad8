"""Logins that a view ends without Django's saying so."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model, login, logout
from django.http import HttpResponse
from django.urls import path

from django_jugpush.access.logins import LOGIN_KEY
from django_jugpush.html import subscribe
from tests.access.conftest import told  # noqa: F401 - a fixture

BACKENDS = ["db", "cached_db", "cache", "file", "signed_cookies"]
BACKEND = "django.contrib.auth.backends.ModelBackend"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


def view(request, what):
    match what:
        case "flush":
            request.session.flush()
        case "login":
            login(request, get_user_model().objects.get(username="bob"), backend=BACKEND)
        case "logout":
            logout(request)
        case "restore":
            held = dict(request.session)
            request.session.flush()
            request.session.update(held)
        case "crash":
            request.session.flush()
            raise RuntimeError("after the flush")
        case "token":
            return HttpResponse(subscribe(request, []))
        case "cycle":
            request.session.cycle_key()
    return HttpResponse()


async def async_view(request, what):
    await sync_to_async(view)(request, what) if what != "flush" else await request.session.aflush()
    return HttpResponse()


urlpatterns = [path("<slug:what>/", view), path("async/<slug:what>/", async_view)]


@pytest.fixture(params=BACKENDS)
def any_backend(request, settings, tmp_path):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)


@pytest.fixture(autouse=True)
def middleware(settings):
    position = settings.MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    settings.MIDDLEWARE = [*settings.MIDDLEWARE]
    settings.MIDDLEWARE.insert(position, "django_jugpush.middleware.LoginMiddleware")


@pytest.fixture
def signed_in(client, alice, bob, told):  # noqa: F811
    """Alice's browser; return the id of her login."""
    client.force_login(alice)
    told.clear()
    return client.session[LOGIN_KEY][0]


def ended(told):  # noqa: F811
    return [message.login for message in told if message.kind == "revoke"]


@pytest.mark.parametrize("what", ["flush", "login", "logout"])
def test_login_that_vanished_has_ended(any_backend, client, signed_in, told, what):  # noqa: F811
    """Once, in every session backend."""
    client.get(f"/{what}/")
    assert ended(told) == [signed_in]


@pytest.mark.parametrize("what", ["restore", "cycle", "nothing"])
def test_login_that_is_still_there_goes_on(any_backend, client, signed_in, told, what):  # noqa: F811
    client.get(f"/{what}/")
    assert client.session[LOGIN_KEY][0] == signed_in
    assert ended(told) == []


def test_flush_that_is_rolled_back_is_none(client, signed_in, told, settings, monkeypatch):  # noqa: F811
    """The session is still in the table."""
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    client.raise_request_exception = False
    assert client.get("/crash/").status_code == 500
    assert ended(told) == []


@pytest.mark.parametrize("what", ["flush", "login"])
def test_async_views_are_watched_too(async_client, alice, bob, told, what):  # noqa: F811
    async def visit():
        await async_client.aforce_login(alice)
        login, _ = await (await async_client.asession()).aget(LOGIN_KEY)
        await async_client.get(f"/async/{what}/")
        return login

    first = asyncio.run(visit())
    assert ended(told) == [first]


def test_page_that_does_not_look_at_the_session_stays_as_it_is(client, signed_in):
    """No query, and no ``Vary: Cookie``."""
    assert not client.get("/nothing/").has_header("Vary")


def test_page_with_a_token_is_private(client, signed_in):
    """For caches that know nothing of Django; other pages say nothing of it."""
    assert client.get("/token/").headers["Cache-Control"] == "private"
    assert not client.get("/nothing/").has_header("Cache-Control")


def test_project_without_sessions_gets_through(rf):
    from django_jugpush.middleware import LoginMiddleware

    assert LoginMiddleware(lambda request: HttpResponse())(rf.get("/")).status_code == 200
