"""What a request may be, how long it may take, and how many connections there may be; through a real uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import time

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidStatus

from django_jugpush.server import http as limits
from django_jugpush.server.guard import EXTRA, Drop, Guard, Ticket, _file_limit
from django_jugpush.server.proxies import DEFAULT_PROXIES, Proxies
from django_jugpush.server.turns import Turns
from tests.waiting import wait_until
from tests.wire import HANDSHAKE, PING, TEXT, UPGRADE, frame, receive_until

from .conftest import TIMEOUT, make_push


def let_pass(served, seconds):
    """Move the clock of a server's event loop; return when it has looked at it."""
    told = served.loop.time
    served.call(setattr, served.loop, "time", lambda: told() + seconds)
    served.call(time.monotonic)


@contextlib.contextmanager
def talk(served, *parts):
    """A connection to which these bytes have been sent."""
    with socket.create_connection(("127.0.0.1", served.port), TIMEOUT) as client:
        for part in parts:
            client.sendall(part if isinstance(part, bytes) else part.encode())
        yield client


def rest(client):
    """Return what comes until the end."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65_536):
            received += chunk
    return received


def ask(served, *parts):
    """Send these bytes; return the status lines of what is answered until the connection ends."""
    with talk(served, *parts) as client:
        return [int(part[:3]) for part in rest(client).split(b"HTTP/1.1 ")[1:]]


def request(*, line="GET /juggernaut/healthz HTTP/1.1", headers="", close=True):
    return f"{line}\r\nHost: x\r\n{'Connection: close' + chr(13) + chr(10) if close else ''}{headers}\r\n"


def test_hooks_that_are_leaned_on_are_there():
    """In the version of uvicorn that is installed; without one of them the limits would not hold, in silence."""
    for name in (
        "connection_made",
        "connection_lost",
        "data_received",
        "on_message_begin",
        "on_header",
        "on_headers_complete",
        "on_message_complete",
        "handle_websocket_upgrade",
        "_should_upgrade",
        "_unset_keepalive_if_required",
    ):
        assert callable(getattr(HttpToolsProtocol, name)), name
    assert issubclass(httptools.HttpParserCallbackError, httptools.HttpParserError)


# Heads


def test_head_may_have_sixteen_kilobytes(served):
    """The request line counts."""
    room = limits.MAX_HEAD_BYTES - len(request())
    assert ask(served, request(headers=f"X: {'x' * (room - 6)}\r\n")) == [200]
    assert ask(served, request(headers=f"X: {'x' * (room + 1)}\r\n")) == [431]
    assert ask(served, request(line=f"GET /{'x' * limits.MAX_HEAD_BYTES} HTTP/1.1")) == [431]
    assert served.push.guard.dropped[Drop.HEAD] == 2


@pytest.mark.parametrize("byte", ["x", "\n", "\r\n"])
def test_head_without_an_end_is_not_kept(served, byte):
    """Whatever it consists of: 10 MB are refused when the first 16 KiB have come."""
    refused = served.push.guard.dropped.total()
    with talk(served, "GET / HTTP/1.1\r\nX: x") as client, contextlib.suppress(OSError):
        for _ in range(100):
            client.sendall(byte.encode() * (100_000 // len(byte)))
    wait_until(lambda: not served.uvicorn.server_state.connections)
    assert served.push.guard.dropped.total() == refused + 1, served.push.guard.dropped


def test_head_may_have_a_hundred_headers(served):
    """Host and Connection among them."""
    assert ask(served, request(headers="X: x\r\n" * 98)) == [200]
    assert ask(served, request(headers="X: x\r\n" * 99)) == [431]


def test_head_in_single_bytes_is_put_together(served):
    """As slow as a telegraph, but in time."""
    assert ask(served, *request()) == [200]


def test_connection_is_kept_for_more_requests(served):
    """Each has its own limits."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
    for _ in range(4):
        connection.request("GET", "/juggernaut/healthz", headers={"X": "x" * 8_000})
        assert connection.getresponse().read() == b"ok"
    connection.close()


def test_requests_may_not_be_piled_up(served):
    """One may wait for the answer to another; of thousands in one packet each would cost memory and time."""
    assert ask(served, request(close=False) + request()) == [200, 200]
    assert 400 in ask(served, request(close=False) * 2_000)
    assert served.push.guard.dropped[Drop.MALFORMED]


@pytest.mark.parametrize(
    "text",
    [
        "hello\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_and_not_logged_for_each(served, text, caplog):
    """uvicorn would write a line, or a traceback, for each."""
    for _ in range(30):
        assert ask(served, text) == [400]
    assert len(caplog.records) <= 20


# Bodies


def test_body_is_bounded_by_what_its_length_says(served):
    """It is not read."""
    length = limits.MAX_BODY_BYTES
    post = "POST /juggernaut/healthz HTTP/1.1"
    assert ask(served, request(line=post, headers=f"Content-Length: {length}\r\n"), "x" * length) == [404]
    assert ask(served, request(line=post, headers=f"Content-Length: {length + 1}\r\n")) == [413]
    assert ask(served, request(line=post, headers="Transfer-Encoding: chunked\r\n")) == [413]
    assert served.push.guard.dropped[Drop.BODY] == 2


def test_body_of_a_publication_is_the_endpoints_business(served):
    """Which looks at the signature first; this server has none, so it knows no such path."""
    line = "POST /juggernaut/publish?x HTTP/1.1"
    assert ask(served, request(line=line, headers=f"Content-Length: {10**7}\r\n"), "x") == [404]


# Time


@pytest.fixture
def hasty(serve, monkeypatch):
    """A server that waits half a second."""
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT", 0.5)
    return serve()


@pytest.mark.parametrize(
    "beginning",
    ["", "GET /juggernaut/healthz HTTP/1.1\r\nHost", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx"],
    ids=["nothing", "half a head", "half a body"],
)
def test_request_has_one_deadline(hasty, beginning):
    """However it dribbles: what comes meanwhile does not put it off."""
    started = time.monotonic()
    with talk(hasty, beginning) as client:
        client.settimeout(0.1)
        received, sent = b"", 0
        while time.monotonic() - started < TIMEOUT:
            try:
                if not (chunk := client.recv(1000)):
                    break
                received += chunk
            except TimeoutError:
                if beginning.endswith("Host") and sent < 100:
                    client.sendall(b"x")
                    sent += 1
            except ConnectionResetError:
                break
    assert 0.4 < time.monotonic() - started < 5
    status = received[9:12].decode()
    assert status == ("" if not beginning else "404" if beginning.startswith("POST") else "408")


def test_deadline_begins_anew_with_each_answer(serve, monkeypatch):
    """A connection that is in use is not cut."""
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT", 4)  # uvicorn's own for a connection that is kept is 5
    served = serve()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
    for _ in range(3):
        connection.request("GET", "/juggernaut/healthz")
        assert connection.getresponse().read() == b"ok"
        let_pass(served, 0.6 * limits.REQUEST_TIMEOUT)
    connection.close()
    assert not served.push.guard.dropped


def test_websocket_has_no_deadline(serve):
    """It is a request no more."""
    served = serve()
    with served.peer() as peer:
        let_pass(served, 1.1 * limits.REQUEST_TIMEOUT)
        peer.send(type="ping")
        assert peer.receive() == {"type": "pong"}


def test_second_request_has_a_deadline_too(hasty):
    """It counts from the end of the first."""
    assert ask(hasty, request(close=False), "GET / HTTP/1.1\r\nHost") == [200, 408]


def test_answer_that_does_not_come_or_is_not_taken_ends_the_connection(monkeypatch):
    """Then too the connection is not kept for ever."""
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT", 0.05)

    async def main():
        async def application(scope, receive, send):
            await asyncio.Event().wait()

        protocol, transport = come(Guard(), "127.0.0.1", application)
        protocol.data_received(request().encode())
        await asyncio.sleep(0)
        deadline = time.monotonic() + TIMEOUT
        while not transport.is_closed:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    asyncio.run(main())


# Upgrades


def test_what_follows_the_handshake_in_the_same_packet_is_heard(served):
    """uvicorn would lose it; the answer to the handshake comes first all the same."""
    with talk(served, HANDSHAKE + frame(PING) + frame(TEXT, b'{"type":"ping"}')) as client:
        received = receive_until(client, b'"pong"')
    assert received.startswith(b"HTTP/1.1 101 ")
    assert received.index(b"\r\n\r\n") < received.index(b"\x8a\x00")


@pytest.mark.parametrize(
    "line",
    [
        f"GET /juggernaut/websocket?{'x' * 9_000} HTTP/1.1",
        "POST /juggernaut/websocket HTTP/1.1",
        "GET /juggernaut/websocket?\u00e9 HTTP/1.1",
    ],
    ids=["too long a line for websockets", "another method", "letters that no address has"],
)
def test_handshake_that_cannot_be_is_answered(served, line, caplog):
    """uvicorn would leave the connection open for ever, without a word, or fail with a traceback."""
    (status,) = ask(served, f"{line}\r\nHost: x\r\n{UPGRADE}\r\n")
    assert 400 <= status < 500
    assert not [record for record in caplog.records if record.exc_info]


def test_other_upgrades_are_answered_as_requests(served, caplog):
    """And what follows is thrown away."""
    headers = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
    assert ask(served, request(headers=headers, close=False), "x" * 100_000) == [200]
    assert not caplog.records


def test_messages_do_not_wait_for_one_another(served):
    """Whatever listening socket the server was given."""
    with served.peer():
        (protocol,) = served.uvicorn.server_state.connections
        assert protocol.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# Numbers


def test_websockets_are_refused_when_there_are_too_many(serve):
    """With a word on when to try again; requests, such as a load balancer's, are answered, and room comes back."""
    served = serve(max_connections=2)
    with served.peer(), served.peer() as second:
        with pytest.raises(InvalidStatus) as refused:
            served.peer().__enter__()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "10"
        assert ask(served, request()) == [200]
        second.socket.close()
        wait_until(lambda: served.push.guard.connections == 1)
        with served.peer():
            pass
    assert served.push.guard.dropped == {Drop.FULL: 1}
    wait_until(lambda: not served.push.guard.connections)


def test_crowd_is_not_heard_out(serve):
    """Far above the limit even who says nothing is sent away at once, or there would be no files left."""
    served = serve(max_connections=1)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(talk(served)) for _ in range(EXTRA + 2)]
        assert rest(clients[-1]).startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: not served.push.guard.connections)


def test_connections_of_one_address_are_limited(serve, monkeypatch):
    """By the address that the proxy names; another one's, and who has none, may come."""
    proxies = Proxies(DEFAULT_PROXIES)
    options = limits.uvicorn_options
    monkeypatch.setattr("tests.server.conftest.uvicorn_options", lambda push: options(push, proxies))
    served = serve(max_connections_per_address=2)

    def of(address):
        return served.peer(additional_headers={"X-Forwarded-For": address} if address else {})

    with of("2001:db8::1"), of("2001:db8::2") as second:
        with pytest.raises(InvalidStatus) as refused:
            of("2001:db8::3").__enter__()
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "10"
        with of("2001:db8:0:1::1"), of("203.0.113.9"), of(""), of(""), of(""):
            pass
        second.socket.close()
        wait_until(lambda: served.push.guard._of_address == {"2001:db8::/64": 1})
        with of("2001:db8::3"):
            pass
    wait_until(lambda: not served.push.guard._of_address)


class Transport(asyncio.Transport):
    """A connection from far away."""

    def __init__(self, peer):
        super().__init__({"peername": peer, "sockname": ("203.0.113.1", 80)})
        self.written = b""
        self.is_closed = False

    def write(self, data):
        self.written += data

    def can_write_eof(self):
        return False

    def close(self):
        self.is_closed = True

    abort = close

    def is_closing(self):
        return self.is_closed


async def nothing(scope, receive, send):
    """Be an application."""


def come(guard, host, application=nothing, proxies=()):
    """Connect from an address; return both ends."""
    protocol = limits.BoundedHttpProtocol(
        config=uvicorn.Config(application, log_config=None),
        server_state=ServerState(),
        app_state={},
        guard=guard,
        proxies=Proxies(proxies),
        turns=Turns(),
    )
    protocol.connection_made(transport := Transport((host, 1)))
    return protocol, transport


def test_who_comes_from_afar_counts_at_once():
    """Before a word is said: silence holds a connection as well as speech does. A proxy does not, nor a neighbour."""

    async def main():
        guard = Guard(max_connections=100, max_per_address=1)
        first, transport = come(guard, "8.8.8.8")
        assert not transport.is_closed
        assert come(guard, "8.8.8.8")[1].written.startswith(b"HTTP/1.1 429 ")
        for host in ("9.9.9.9", "9.9.9.9", "10.0.0.1", "10.0.0.1", "8.8.4.4"):
            assert not come(guard, host, proxies=["9.9.9.9"])[1].is_closed
        first.connection_lost(None)
        assert not come(guard, "8.8.8.8")[1].is_closed

    asyncio.run(main())


def test_limit_is_what_the_files_allow(monkeypatch):
    """Less some for the rest; and never nothing."""
    for files, limit in (20_000, 19_800), (256, 100):
        monkeypatch.setattr("django_jugpush.server.guard._file_limit", lambda files=files: files)
        assert Guard().limit == limit
    assert Guard(max_connections=7).limit == 7
    assert _file_limit() > 0


def test_who_is_counted_already_may_stay():
    """A connection from afar counts as soon as it is there, and not once more when it becomes a WebSocket."""
    guard = Guard(max_connections=5, max_per_address=1)
    ticket = guard.open()
    assert guard.claim(ticket, "8.8.8.8") is None
    assert guard.admit(ticket, "8.8.8.8") is None
    assert guard.admit(guard.open(), "8.8.8.8") is Drop.ADDRESS
    ticket.release()
    assert not guard._of_address


def test_place_is_given_back_once():
    """Whatever a connection's end looks like."""
    guard = Guard(max_per_address=5)
    ticket = guard.open()
    assert isinstance(ticket, Ticket)
    guard.claim(ticket, "8.8.8.8")
    ticket.release()
    ticket.release()
    ticket.drop(Drop.FRAMES)
    assert (guard.connections, guard._of_address, guard.dropped) == (0, {}, {})


def test_uvicorn_takes_the_options():
    """And has heartbeats, compression and access log off."""
    push = make_push(max_message_size=1234)
    config = uvicorn.Config(push, log_config=None, **limits.uvicorn_options(push))
    assert config.ws_max_size == 1234
    assert config.ws_ping_interval is None
    assert not config.ws_per_message_deflate
    assert not config.access_log
