"""Ports for servers that are told theirs before they listen."""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_000)
"""Below those that the system gives to connections: one of them could have the port before the server listens."""


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    while True:
        port = random.choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
