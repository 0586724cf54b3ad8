"""A small site with real logins, in the test's process, and push servers of its own in threads."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import uvicorn
from django.contrib.auth import get_user_model, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.test import Client
from django.urls import path
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from django_jugpush.asgi import make_push_server, push_application
from django_jugpush.server.http import uvicorn_options
from tests.server.conftest import TIMEOUT
from tests.test_html import elements
from tests.waiting import wait_until

BACKEND = "django.contrib.auth.backends.ModelBackend"

PAGES = {
    "orders": "{% juggernaut_subscribe 'orders' %}",
    "own": "{% juggernaut_subscribe %}",
    "ruled": "{% juggernaut_subscribe 'ruled' %}",
    "several": "{% juggernaut_subscribe 'orders' user 'banner' %}",
}


def show(request, name):
    template = engines["django"].from_string("{% load juggernaut %}" + PAGES[name])
    return HttpResponse(template.render({}, request))


def sign_in(request, name):
    login(request, get_user_model().objects.get(username=name), backend=BACKEND)
    return redirect("/page/orders/")


def sign_out(request):
    logout(request)
    return HttpResponse()


def flush(request):
    request.session.flush()
    return HttpResponse()


def change_password(request):
    request.user.set_password("another")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse()


urlpatterns = [
    path("page/<slug:name>/", login_required(show)),
    path("open/<slug:name>/", show),
    path("sign-in/<slug:name>/", sign_in),
    path("sign-out/", sign_out),
    path("flush/", flush),
    path("change-password/", change_password),
    path("accounts/login/", lambda request: HttpResponse("sign in")),
]


class Tokens(dict):
    """What a page brought: the tokens of its channels, and that of its user."""

    def __init__(self, html):
        found = elements(html)
        super().__init__({a["channel"]: a.get("token") for tag, a in found if tag == "juggernaut-subscribe"})
        self.since = {a["channel"]: a.get("since") for tag, a in found if tag == "juggernaut-subscribe"}
        self.connection = next((a.get("data-token") for tag, a in found if tag == "script"), None)


class Browser(Client):
    """A browser with its cookies."""

    def tokens(self, name="orders", *, renew=None, area="page"):
        """Load a page."""
        headers = {"X-Juggernaut-Renew": renew} if renew else {}
        response = self.get(f"/{area}/{name}/", headers=headers, follow=True)
        return Tokens(response.content.decode())


class Tab:
    """A page's connection, which keeps all that it hears with the time of it."""

    def __init__(self, port, *, greet=True, **options):
        url = f"ws://127.0.0.1:{port}/juggernaut/websocket?protocol=1"
        options = {"open_timeout": TIMEOUT, "ping_interval": None, "close_timeout": 1} | options
        self._stack = contextlib.ExitStack()
        self.socket = self._stack.enter_context(connect(url, **options))
        self.words = []
        self.ended = None
        self.position = {}
        self._ids = 0
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if greet:
            self.wait(lambda word: word.get("type") in ("connected", "disconnect"))

    def subscribe(self, channel, token=None, since=None):
        """Ask, and return the answer."""
        self.send(channel, token, since)
        return self.wait(lambda word, id=self._ids: word.get("id") == id)

    def send(self, channel, token=None, since=None):
        """Ask, and wait for no answer."""
        self._ids += 1
        command = {"type": "subscribe", "id": self._ids, "channel": channel, "token": token, "since": since}
        self.socket.send(json.dumps({key: value for key, value in command.items() if value is not None}))

    def wait(self, is_it, timeout=TIMEOUT):
        """Return the first word that is meant; it is then no longer waited for."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for at, word in self.words:
                    if is_it(word):
                        self.words.remove((at, word))
                        word["at"] = at
                        return word
                remaining = deadline - time.monotonic()
                assert remaining > 0 and not (self.ended and not self.words), (self.words, self.ended)
                self._news.wait(remaining)

    def unsubscribed(self, channel="orders"):
        return self.wait(lambda word: word.get("type") == "unsubscribed" and word["channel"] == channel)

    def disconnected(self):
        return self.wait(lambda word: word.get("type") == "disconnect")

    def heard(self, data, channel="orders"):
        return self.wait(lambda word: word.get("channel") == channel and word.get("data") == data)

    def is_quiet(self):
        """Tell whether nothing is left, after a question has been answered that came after all else."""
        self.socket.send('{"type":"ping"}')
        self.wait(lambda word: word.get("type") == "pong")
        return self.words == []

    def close(self):
        self._stack.close()
        self._reader.join(TIMEOUT)

    def _read(self):
        with contextlib.suppress(ConnectionClosed):
            for text in self.socket:
                word = json.loads(text)
                if word.get("type") == "ping":
                    self.socket.send('{"type":"pong"}')
                    continue
                with self._news:
                    self.words.append((time.monotonic(), word))
                    self._news.notify_all()
        with self._news:
            self.ended = self.socket.close_code
            self._news.notify_all()


class PushProcess:
    """A push server of the project under uvicorn, in a thread."""

    def __init__(self, *, mounted=False, **options):
        self.push = make_push_server(**{"is_exclusive": False} | options)
        application = push_application(get_asgi_application(), push=self.push) if mounted else self.push
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=2, **uvicorn_options(self.push))
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=[[listener]])
        self.thread.start()
        self.rights = self.push.rights
        wait_until(lambda: self.push.is_connected and self.server.started and not self.rights.is_blind)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive()
