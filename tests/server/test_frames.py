"""What one client's frames can ask of the event loop, through a real uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from django_jugpush.core import reading
from django_jugpush.server import frames, lingering
from django_jugpush.server.guard import Drop
from tests.wire import BINARY, CLOSE, CONT, HANDSHAKE, PING, PONG, TEXT, frame, receive_until

from .conftest import TIMEOUT

MAX_TURN = 0.05
"""Seconds of the server's own time in one turn of its event loop, so that other processes do not count."""

MEGABYTE = 1_000_000


FLOODS = {
    "empty fragments": (frame(TEXT, fin=False) + frame(CONT, fin=False) * (MEGABYTE // 6), 1008),
    "fragments of one byte": (frame(TEXT, b"{", fin=False) + frame(CONT, b"x", fin=False) * (MEGABYTE // 7), 1008),
    "pings": (frame(PING) * (MEGABYTE // 6), 1008),
    "long pings": (frame(PING, bytes(125)) * (MEGABYTE // 131), 1008),
    "pongs": (frame(PONG) * (MEGABYTE // 6), 1008),
    "empty messages": (frame(TEXT) * (MEGABYTE // 6), 3501),
    "commands": (frame(TEXT, b'{"type":"ping"}') * (MEGABYTE // 21), 3505),
    "binary messages": (frame(BINARY) * (MEGABYTE // 6), 3502),
    "closes": (frame(CLOSE) * (MEGABYTE // 6), None),
    "nonsense": (b"\x83\x80\0\0\0\0" * (MEGABYTE // 6), 1002),
}


@contextlib.contextmanager
def connected(served, *, receive_buffer=None):
    """A bare socket on which a WebSocket is open."""
    with socket.socket() as client:
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(TIMEOUT)
        client.connect(("127.0.0.1", served.port))
        client.sendall(HANDSHAKE)
        receive_until(client, b'"connected"')
        yield client


def close_code(client):
    """Read to the end; return the code of the close frame, which is the last."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65_536):
            received += chunk
    start = received.rfind(b"\x88")
    return struct.unpack("!H", received[start + 2 : start + 4])[0] if received[start + 1] else None


class Turns:
    """Measures the turns of a server's event loop."""

    def __init__(self, served):
        self._served = served
        self.longest = 0.0

    def __enter__(self):
        self._task = asyncio.run_coroutine_threadsafe(self._measure(), self._served.loop)
        return self

    def __exit__(self, *exception):
        self._task.cancel()

    async def _measure(self):
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


def test_hooks_that_are_leaned_on_are_there():
    """In the version of uvicorn that is installed; without one of them a bound would not hold, in silence."""
    for name in (
        "data_received",
        "handle_text",
        "handle_bytes",
        "handle_cont",
        "handle_ping",
        "handle_pong",
        "handle_parser_exception",
        "pause_writing",
        "resume_writing",
        "send_receive_event_to_app",
        "send",
        "receive",
    ):
        assert callable(getattr(WebSocketsSansIOProtocol, name)), name


@pytest.mark.parametrize(("flood", "code"), FLOODS.values(), ids=FLOODS)
def test_flood_holds_nobody_up(served, monkeypatch, flood, code):
    """A megabyte in one go: no turn of the event loop is long, and others are answered meanwhile."""
    monkeypatch.setattr(lingering, "LINGER_TIMEOUT", 0.5)
    with served.peer() as witness, connected(served) as client, Turns(served) as turns:

        def send():
            with contextlib.suppress(OSError):
                client.sendall(flood)

        sending = threading.Thread(target=send)
        sending.start()
        for _ in range(20):
            witness.send(type="ping")
            assert witness.receive() == {"type": "pong"}
        assert close_code(client) == code
        sending.join()
    assert turns.longest < MAX_TURN


def test_message_may_come_in_sixteen_frames(served):
    """As few clients do; in more it may not."""
    command = b'{"type":"ping"}'
    for fragments, is_taken in (frames.MAX_FRAGMENTS, True), (frames.MAX_FRAGMENTS + 1, False):
        padded = command.rjust(fragments)
        parts = [padded[at : at + 1] for at in range(fragments - 1)] + [padded[fragments - 1 :]]
        with connected(served) as client:
            client.sendall(frame(TEXT, parts[0], fin=False))
            client.sendall(b"".join(frame(CONT, part, fin=False) for part in parts[1:-1]))
            client.sendall(frame(CONT, parts[-1]))
            if is_taken:
                assert b'"pong"' in client.recv(65_536)
            else:
                assert close_code(client) == 1008
    assert served.push.guard.dropped[Drop.FRAGMENTS] >= 1


def test_fragments_together_are_no_longer_than_a_message(served):
    """The limit is not each frame's."""
    with connected(served) as client:
        client.sendall(frame(TEXT, bytes(60_000), fin=False) + frame(CONT, bytes(60_000)))
        assert close_code(client) == 1009


def test_frame_may_be_cut_anywhere(served):
    """At each byte, in two packets."""
    whole = frame(TEXT, b'{"type":"ping"}') + frame(PING, b"x") + frame(TEXT, b'{"type"', fin=False)
    whole += frame(CONT, b':"ping"}')
    with connected(served) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(whole)):
            client.sendall(whole[:cut])
            client.sendall(whole[cut:])
            assert receive_until(client, b'"pong"}', times=2).count(b"\x8a\x01x") == 1


def test_pings_are_answered_as_the_rules_say(served):
    """Some clients and proxies send them."""
    with connected(served) as client:
        client.sendall(frame(PING, b"are you there"))
        assert client.recv(100) == b"\x8a\x0dare you there"


def test_client_that_takes_nothing_is_not_read(served):
    """Or the answers to its pings would pile up."""
    with connected(served, receive_buffer=4096) as client:
        (protocol,) = (
            each for each in served.uvicorn.server_state.connections if isinstance(each, frames.BoundedProtocol)
        )
        served.call(protocol.pause_writing)
        client.sendall(frame(PING))
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        served.call(protocol.resume_writing)
        client.settimeout(TIMEOUT)
        assert client.recv(100) == b"\x8a\0"


def test_client_that_breaks_the_rules_before_it_is_greeted_is_no_fault_of_the_server(served, caplog):
    """What was meant for it is dropped, without a traceback."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.port), TIMEOUT) as client:
            client.sendall(HANDSHAKE + b"\x83\x80\0\0\0\0")
            assert close_code(client) == 1002
    assert not caplog.records


def test_fault_in_handling_a_frame_ends_only_its_connection(served, monkeypatch, caplog):
    """Rather than leave it open, and deaf."""

    def fail(self):
        raise RuntimeError("a fault of the server")

    monkeypatch.setattr(frames.BoundedProtocol, "handle_ping", fail)
    with connected(served) as witness, connected(served) as client:
        client.sendall(frame(PING))
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
        witness.sendall(frame(TEXT, b'{"type":"ping"}'))
        assert b'"pong"' in witness.recv(100)
    assert "a fault of the server" in caplog.text


def test_burst_of_commands_is_taken_whole(served, monkeypatch):
    """A client that comes back subscribes to all that it had at once; order and number are kept."""
    commands = [json.dumps({"type": "unsubscribe", "id": number, "channel": "x"}) for number in range(1, 1001)]
    assert len(commands) < reading.COMMAND_BURST + 100 * reading.FAILED_TOKEN_COST
    with connected(served) as client:
        client.sendall(b"".join(frame(TEXT, command.encode()) for command in commands))
        received = receive_until(client, b'"unsubscribed"', times=1000)
    ids = [int(part.split(b"}")[0]) for part in received.split(b'"id":')[1:]]
    assert ids == list(range(1, 1001))


def test_bad_text_is_not_logged_for_each(served, caplog):
    """uvicorn would write a traceback."""
    with connected(served) as client:
        client.sendall(frame(TEXT, b"\xff"))
        assert close_code(client) == 1007
    assert not caplog.records
