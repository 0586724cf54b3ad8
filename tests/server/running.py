"""The HTTP server of ``manage.py juggernaut``, in a thread of the test."""

from __future__ import annotations

import contextlib
import socket
import threading

from django_jugpush.server.app import PushServer
from django_jugpush.server.config import ServerConfig
from django_jugpush.server.proxies import DEFAULT_PROXIES
from django_jugpush.server.serve import Server, bind, make_config

from .conftest import TIMEOUT, MemoryFeed, authorize


class Running:
    """A server, what it reported, and the schemes by which it saw those who asked to connect."""

    def __init__(self, *, proxies=DEFAULT_PROXIES, unix=None, claim=None, listeners=()):
        self.feed = MemoryFeed()
        self.schemes = []
        self.reports = []
        self.reported = threading.Event()
        self.push = PushServer(
            ServerConfig(), authorize=authorize, origin_allowed=self._origin_allowed, feed=self.feed, claim=claim
        )
        self.sockets = None if unix else bind("127.0.0.1", 0)
        self.address = None if unix else self.sockets[0].getsockname()
        config = make_config(self.push, proxies=proxies, **({"uds": str(unix)} if unix else {}))
        self.server = Server(config, self.push, drain_timeout=2, report=self._report, listeners=listeners)

    def _origin_allowed(self, origin, *, scheme, headers):
        self.schemes.append(scheme)
        return True

    def _report(self, obstacle):
        self.reports.append(obstacle)
        self.reported.set()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.address[1]}/websocket?protocol=1"


@contextlib.contextmanager
def running(**options):
    """Run a server; it has reported once."""
    server = Running(**options)
    thread = threading.Thread(target=server.server.run, args=[server.sockets])
    thread.start()
    try:
        assert server.reported.wait(TIMEOUT)
        yield server
    finally:
        if not server.server.should_exit:
            server.server.handle_exit(15, None)
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def is_free(address):
    """Tell whether nobody listens at an address."""
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0
