"""A client that broke the rules gets to read why."""

from __future__ import annotations

import socket
import struct
import time

from django_jugpush.server import lingering, websocket
from tests.waiting import wait_until
from tests.wire import HANDSHAKE, TEXT, frame_length, receive_until

from .conftest import TIMEOUT

SIZE = 10_000_000


def test_client_may_finish_what_it_sends_before_it_reads(served):
    """The connection is not reset under it: the code arrives, and then an orderly end."""
    with socket.create_connection(("127.0.0.1", served.port), TIMEOUT) as client:
        client.sendall(HANDSHAKE)
        receive_until(client, b'"connected"')
        client.sendall(bytes([0x80 | TEXT]) + frame_length(SIZE) + bytes(4))
        for _ in range(SIZE // 10_000):
            client.sendall(bytes(10_000))
        received = b""
        while chunk := client.recv(65_536):
            received += chunk
        close = received[received.index(b"\x88") :]
        assert struct.unpack("!H", close[2:4]) == (1009,)


def test_client_that_reads_nothing_is_cut_off_in_the_end(serve, monkeypatch):
    """What it does not take would else lie here, with its socket, for as long as it likes."""
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT", 0.1)
    monkeypatch.setattr(lingering, "LINGER_TIMEOUT", 0.1)
    served = serve(max_pending=100_000)
    with served.peer(max_queue=1) as peer:
        peer.subscribe("open")
        while served.push.hub.channels():
            served.publish("open", "x" * 50_000)
        wait_until(lambda: not served.uvicorn.server_state.connections)


def test_server_that_stops_does_not_wait_for_it(serve):
    """Nothing more is said to a client that was told to go."""
    served = serve()
    with socket.create_connection(("127.0.0.1", served.port), TIMEOUT) as client:
        client.sendall(HANDSHAKE)
        client.recv(65_536)
        client.sendall(bytes([0x80 | TEXT]) + frame_length(SIZE) + bytes(4))
        while client.recv(65_536):
            pass
        began = time.monotonic()
        served.stop()
        assert time.monotonic() - began < 1.5, "it waits until uvicorn has no more patience"
