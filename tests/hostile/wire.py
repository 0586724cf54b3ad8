"""WebSocket as bytes, for peers that are quick, or rude."""

from __future__ import annotations

import struct

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

UPGRADE = (
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)

HANDSHAKE = f"GET /juggernaut/websocket?protocol=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}\r\n".encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a client's frame; its mask is 0."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([opcode | (0x80 if fin else 0)]) + length + bytes(4) + payload
