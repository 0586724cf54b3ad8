"""What uvicorn's server leaves to ours. The whole of it is shown by ``tests/commands``."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import socket
import stat

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from django_jugpush.server.listener import Listener
from django_jugpush.server.serve import bind, remove_dead_socket

from .conftest import TIMEOUT
from .running import is_free, running


class Claim:
    """Is given when the test wants it."""

    def __init__(self):
        self.is_free = False
        self.calls = []

    async def take(self):
        self.calls.append("take")
        return self.is_free

    async def give_up(self):
        self.calls.append("give up")


def test_clients_are_sent_away_before_the_connection_is_cut():
    """The last word, and the close code, are ours and not uvicorn's."""
    with running() as server, connect(server.url, open_timeout=TIMEOUT) as client:
        assert json.loads(client.recv(TIMEOUT))["type"] == "connected"
        server.server.handle_exit(15, None)
        word = json.loads(client.recv(TIMEOUT))
        assert (word["type"], word["code"], word["spread"]) == ("disconnect", 3001, 1)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(TIMEOUT)
        assert closed.value.rcvd.code == 3001
    assert is_free(server.address)
    assert server.feed.deliver is None


def test_ready_is_reported_once():
    """And an obstacle before, if there was one."""
    claim = Claim()
    with running(claim=claim) as server:
        assert server.reports == ["another process is the push server"]
        server.reported.clear()
        claim.is_free = True
        assert server.reported.wait(TIMEOUT)
        assert server.reports == ["another process is the push server", ""]
    assert (claim.calls[0], claim.calls[-2], claim.calls[-1]) == ("take", "take", "give up")
    assert server.reports[2:] == []


def test_connection_that_asks_for_nothing_does_not_hold_it_up():
    """Somebody connected and is silent."""
    with running() as server:
        idle = socket.create_connection(server.address, timeout=TIMEOUT)
    with idle, contextlib.suppress(ConnectionResetError):
        assert idle.recv(1) == b""


def test_listeners_live_as_long_as_the_server():
    """Until after the last client is gone."""
    (sock,) = bind("127.0.0.1", 0)
    address = sock.getsockname()
    with running(listeners=[Listener(hello, sock)]):
        assert ask(address) == b"hello"
    assert is_free(address)


def test_listener_leaves_the_logs_of_others_alone(caplog):
    """The push server may be mounted in a uvicorn whose access log is wanted; but nobody wants to read of this."""

    async def main():
        (sock,) = bind("127.0.0.1", 0)
        listener = Listener(hello, sock)
        await listener.start()
        assert await asyncio.to_thread(ask, sock.getsockname()) == b"hello"
        await listener.stop()

    caplog.set_level("INFO", "uvicorn.access")
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(caplog.handler)
    try:
        asyncio.run(main())
        assert caplog.handler in logger.handlers
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(address):
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    connection.request("GET", "/")
    body = connection.getresponse().read()
    connection.close()
    return body


def test_address_in_use_leaves_no_socket_open():
    """Not even those of the host's other addresses."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match="Address already in use"):
        bind("127.0.0.1", listener.getsockname()[1])


def test_dead_socket_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "socket"
    remove_dead_socket(path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    remove_dead_socket(path)
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(FileExistsError, match="in use"):
            remove_dead_socket(path)
    assert stat.S_ISSOCK(path.stat().st_mode)
    path.unlink()
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="not a socket"):
        remove_dead_socket(path)
    assert path.read_text() == "precious"
