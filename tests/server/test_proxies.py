"""Whom a request is from, when there may be proxies."""

from __future__ import annotations

import asyncio

import pytest
from websockets.sync.client import connect, unix_connect

from django_jugpush.server.proxies import DEFAULT_PROXIES, Proxies, TrustedProxies, counted_address, parse_proxies

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


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:10.1.2.3, ", "::ffff:10.1.2.3"),
        ("what, 203.0.113.9, ::ffff:10.1.2.3", "203.0.113.9"),
        (" , ", "10.9.9.9"),
        ("x" * 10_000, "x" * 10_000),
    ],
)
def test_hops_are_written_in_many_ways(hops, client):
    """With ports, in brackets, as IPv4 in IPv6; nonsense is nobody who is trusted."""
    assert Proxies(["10.0.0.0/8"]).client("10.9.9.9", [(b"x-forwarded-for", hops.encode())]) == client


def test_scheme_is_one_of_two():
    """The last one that is said by somebody who is trusted."""
    proxies = Proxies(["10.0.0.1"])
    said = [(b"x-forwarded-proto", b"http"), (b"x-forwarded-proto", b"gopher, wss")]
    assert proxies.scheme("10.0.0.1", said) == "https"
    assert proxies.scheme("10.0.0.1", [(b"x-forwarded-proto", b"gopher")]) is None
    assert proxies.scheme("10.0.0.2", said) is None


FOR = [(b"x-forwarded-for", b"203.0.113.9")]


@pytest.mark.parametrize(
    ("peer", "headers", "whose"),
    [
        ("127.0.0.1", FOR, "203.0.113.9"),
        ("127.0.0.1", [], None),
        ("unix", FOR, "203.0.113.9"),
        ("unix", [], None),
        ("8.8.8.8", [], "8.8.8.8"),
        ("8.8.8.8", FOR, "8.8.8.8"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", FOR, None),
    ],
)
def test_connections_are_counted_for_whom_one_knows(peer, headers, whose):
    """A proxy that names nobody, and one of this network that was not listed, would be taken for all their clients."""
    assert Proxies(DEFAULT_PROXIES).countable(peer, headers) == whose


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("unix", None),
        ("what", None),
        ("", None),
        (None, None),
    ],
)
def test_one_client_is_one_address_or_one_network(text, counted):
    """Of IPv6 everybody has 2⁶⁴."""
    assert counted_address(text) == counted
