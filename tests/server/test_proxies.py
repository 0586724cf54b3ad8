"""Whom a request is from, when there may be proxies."""

from __future__ import annotations

import asyncio

import pytest
from websockets.sync.client import connect, unix_connect

from django_jugpush.server.proxies import DEFAULT_PROXIES, Proxies, TrustedProxies, parse_proxies

from .conftest import TIMEOUT
from .running import running

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}


def seen(client, headers, proxies=DEFAULT_PROXIES, type="http"):
    """Return the client's address and the scheme that the application gets to see."""
    scopes = []

    async def application(scope, receive, send):
        scopes.append(scope)

    scope = {
        "type": type,
        "client": client,
        "scheme": "ws" if type == "websocket" else "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(TrustedProxies(application, Proxies(proxies))(scope, None, None))
    return scopes[0]["client"][0], scopes[0]["scheme"]


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("::1", 1), None], ids=["IPv4", "IPv6", "Unix socket"])
def test_proxies_of_this_machine_are_believed(client):
    """By default, over whatever they come."""
    assert seen(client, FORWARDED) == ("203.0.113.9", "https")
    assert seen(client, FORWARDED, type="websocket") == ("203.0.113.9", "wss")


@pytest.mark.parametrize("proxies", [[], ["10.0.0.0/8"], ["unix"]])
def test_strangers_are_not_believed(proxies):
    """Anybody can send these headers."""
    assert seen(("127.0.0.1", 1), FORWARDED, proxies) == ("127.0.0.1", "http")


def test_unix_socket_may_be_a_stranger_too():
    """Where everybody may enter its directory."""
    assert seen(None, FORWARDED, ["127.0.0.1"]) == ("unix", "http")


def test_last_hop_that_is_no_proxy_counts():
    """What stands before it the client may have made up."""
    hops = {"X-Forwarded-For": "127.0.0.1, 6.6.6.6, unix, 203.0.113.9, 10.1.2.3"}
    assert seen(("127.0.0.1", 1), hops, ["127.0.0.1", "10.0.0.0/8"]) == ("203.0.113.9", "http")


def test_client_without_a_proxy_is_itself():
    assert seen(("203.0.113.9", 1), {}) == ("203.0.113.9", "http")


@pytest.mark.parametrize(("proxies", "scheme"), [(["127.0.0.1"], "https"), (["10.0.0.0/8"], "http")])
def test_origin_is_held_against_the_scheme_that_the_browser_used(proxies, scheme):
    """Over a real connection: uvicorn's WebSocket protocol goes the same way."""
    with running(proxies=proxies) as server:
        with connect(server.url, additional_headers=FORWARDED, open_timeout=TIMEOUT) as client:
            client.recv(TIMEOUT)
        assert server.schemes == [scheme]


@pytest.mark.parametrize(("proxies", "scheme"), [(DEFAULT_PROXIES, "https"), (["127.0.0.1"], "http")])
def test_unix_socket_has_a_name_in_the_list(proxies, scheme, tmp_path):
    """uvicorn itself does not know who is at the other end of one."""
    path = tmp_path / "push.sock"
    with running(proxies=proxies, unix=path) as server:
        url = "ws://site/websocket?protocol=1"
        with unix_connect(str(path), url, additional_headers=FORWARDED, open_timeout=TIMEOUT) as client:
            client.recv(TIMEOUT)
        assert server.schemes == [scheme]


@pytest.mark.parametrize(
    ("text", "proxies"),
    [
        ("", []),
        ("*", ["*"]),
        ("127.0.0.1, ::1,unix", ["127.0.0.1", "::1", "unix"]),
        ("10.0.0.0/8,fd00::/8", ["10.0.0.0/8", "fd00::/8"]),
    ],
)
def test_list_is_read(text, proxies):
    assert parse_proxies(text) == proxies


@pytest.mark.parametrize("text", ["proxy", "10.0.0.1/8", "127.0.0.1,*", "127.0.0.1:80"])
def test_list_that_would_never_match_is_refused(text):
    """uvicorn would take it and trust nobody."""
    with pytest.raises(ValueError):
        parse_proxies(text)
