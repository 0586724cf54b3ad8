"""WebSocket as bytes, for peers that are quick, or rude."""

from __future__ import annotations

import socket

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

UPGRADE = (
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def handshake(query: str = "protocol=1") -> bytes:
    """Return a client's first request."""
    return f"GET /juggernaut/websocket?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}\r\n".encode()


HANDSHAKE = handshake()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = bytes(4)) -> bytes:
    """Return a client's frame; its payload is not masked."""
    return bytes([opcode | (0x80 if fin else 0)]) + frame_length(len(payload)) + mask + payload


def frame_length(size: int) -> bytes:
    """Return the bytes of a frame that announce so long a payload."""
    if size < 126:
        return bytes([0x80 | size])
    if size < 65_536:
        return b"\xfe" + size.to_bytes(2, "big")
    return b"\xff" + size.to_bytes(8, "big")


def receive_until(client: socket.socket, word: bytes, *, times: int = 1) -> bytes:
    """Return what comes until this word has, so many times; fail if the connection ends before."""
    received = b""
    while received.count(word) < times:
        chunk = client.recv(65_536)
        assert chunk, received
        received += chunk
    return received
