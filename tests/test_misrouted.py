from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import re_path

from django_jugpush import misrouted

urlpatterns = [re_path("", lambda request: HttpResponse())]


@pytest.fixture(autouse=True)
def watch(settings):
    """Each test begins as a process does."""
    settings.ROOT_URLCONF = __name__
    misrouted.connect()
    yield
    misrouted.connect()


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "django_jugpush.misrouted"]


def test_request_for_the_push_server_is_explained_once(caplog):
    """The first that comes to Django; clients try again and again."""
    for _ in range(3):
        Client().get("/juggernaut/websocket")
    (warning,) = warnings(caplog)
    assert "/juggernaut/" in warning
    assert "push_application()" in warning


def test_asgi_is_no_different(caplog):
    """A request has a scope there, and no environment."""
    async_to_sync(AsyncClient().get)("/juggernaut/websocket")
    assert len(warnings(caplog)) == 1


def test_other_requests_are_not_its_business(caplog):
    Client().get("/juggernautical/")
    Client().get("/juggernaut")
    assert not warnings(caplog)


def test_push_server_with_a_host_of_its_own_owns_no_path_here(caplog, settings):
    settings.JUGPUSH = {"PUBLIC_URL": "https://push.example.com/"}
    Client().get("/juggernaut/websocket")
    assert not warnings(caplog)
