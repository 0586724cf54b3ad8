"""
The broker that needs no service: publications are posted, signed, to the push server, which hands them to who listens.

Under ``runserver`` the push server is found by itself; ``SERVER_URL`` names it anywhere else. Before a word is sent,
the server proves on the same connection that it holds this project's key.
"""

from __future__ import annotations

import functools
import http.client
import io
import logging
import secrets
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from django_jugpush.core.history import DEFAULT_HISTORY, Replay, Streams
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication
from django_jugpush.core.signing import (
    HELLO_PATH,
    MAX_BODY_BYTES,
    PUBLISH_PATH,
    SIGNATURE_HEADER,
    is_proof,
    sign_request,
)
from django_jugpush.exceptions import BrokerError, BrokerUnavailable

from .base import Broker, Deliver, Feed

__all__ = ["LocalBroker", "LocalFeed"]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 0.2
"""Seconds that a publish waits for a connection to a server."""

TIMEOUT = 1.0
"""Seconds that a publish takes in all."""

PAUSE = 5.0
"""Seconds for which a server that did not answer is left out, where there are others."""

_BODY_SIZE = 1024 * 1024  # a request is closed when it has reached this many bytes

USUAL_URL = "http://127.0.0.1:8080/"
"""Where `manage.py juggernaut` listens unless told otherwise; it may be another user's, who leaves no address here."""

NOT_FOUND = (
    "no push server of this project was found. Start `manage.py runserver` or `manage.py juggernaut`; if it is mounted "
    "in another server, runs in another container or on another machine, or belongs to another user and has another "
    "port than 8080, set JUGPUSH['SERVER_URL']. Both sides must have the same SECRET_KEY."
)


class LocalFeed(Feed):
    """Hears what is posted to the push server that owns it, and keeps it in that server's memory."""

    def __init__(self, *, history: tuple[int, float] = DEFAULT_HISTORY, clock: Callable[[], float] = time.time) -> None:
        self._history = history
        self._clock = clock
        self._streams = Streams(now=self._now(), default=history)
        self._deliver: Deliver | None = None
        self._channels: set[str] = set()

    async def start(self, deliver: Deliver) -> None:
        self._streams = Streams(now=self._now(), default=self._history)  # it hears nothing of what was before
        self._deliver = deliver

    async def stop(self) -> None:
        self._deliver = None

    def listen(self, channels: Iterable[str]) -> None:
        self._channels.update(channels)

    def forget(self, channels: Iterable[str]) -> None:
        self._channels.difference_update(channels)

    async def ready(self, channel: str) -> None:
        """Return: what is posted is heard."""

    def is_ready(self, channel: str) -> bool:
        return True

    async def read(self, channel: str, since: Position | None) -> Replay:
        return self._streams.read(channel, since, now=self._now())

    def receive(self, publications: Sequence[Publication], *, again: bool = False) -> None:
        """
        Keep publications, and deliver those that someone listens for; called on the push server's event loop.

        With ``again`` they may have come before: what is known already is left out.
        """
        if again:
            publications = self._streams.without_known(publications)
        now = self._now()
        added = [self._streams.add(publication, now=now) for publication in publications]
        heard = [publication for publication in added if publication.full_name in self._channels]
        if heard and self._deliver:
            self._deliver(heard)

    def _now(self) -> int:
        return int(self._clock() * 1000)


class LocalBroker(Broker):
    """
    Posts each batch to the push server at ``server_url``, or else to all that ``find`` names.

    Args:
        server_url: The mount point of a push server, with a slash at its end.
        keys: Derived keys; the first signs, and a server proves itself by any.
        find: Returns the mount points of servers that may be this project's. More than one ``runserver`` of a
            project may run, and each has its own listeners.
    """

    def __init__(self, server_url: str | None, *, keys: Sequence[bytes], find: Callable[[], Sequence[str]]) -> None:
        self._server_url = server_url
        self._keys = keys
        self._find = find
        self._silent_until: dict[str, float] = {}

    def publish(self, publications: Sequence[Publication]) -> None:
        deadline = time.monotonic() + TIMEOUT
        urls = self._urls()
        requests = list(_split(publications))
        errors: list[BrokerError] = []
        for position, url in enumerate(urls):
            now = time.monotonic()
            try:
                # A fair share: a server that was suspended accepts connections, and would take all the time.
                self._hand_over(url, requests, now + (deadline - now) / (len(urls) - position))
            except BrokerError as error:
                errors.append(error)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, TimeoutError):
                    self._silent_until[url] = time.monotonic() + PAUSE
                errors.append(BrokerUnavailable(f"the push server at {url} cannot be reached: {_describe(error)}"))
        if urls == [USUAL_URL] and errors and isinstance(errors[0], BrokerUnavailable):
            raise BrokerUnavailable(NOT_FOUND) from errors[0]
        if len(errors) == len(urls):
            raise _weightiest(errors)
        for failure in errors:
            logger.info("Published to another push server, but %s", failure)

    def _urls(self) -> Sequence[str]:
        if self._server_url:
            return [self._server_url]
        found = self._find() or [USUAL_URL]
        now = time.monotonic()
        return [url for url in found if self._silent_until.get(url, 0) <= now] or found

    def _hand_over(self, url: str, requests: Sequence[_Encoded], deadline: float) -> None:
        """Have the server at ``url`` prove itself, then post to it on the same connection."""
        waiting = deque(requests)
        again = False
        while True:
            with _connection(url, deadline) as connection:
                self._require_proof(connection, url)
                try:
                    while waiting:
                        self._post(connection, url, _body(waiting[0], again=again))
                        waiting.popleft()
                        again = False
                    return
                except TimeoutError:
                    raise
                except (OSError, http.client.HTTPException):
                    if again:
                        raise
                    again = True  # it hung up, and nobody knows whether it has taken the request

    def _require_proof(self, connection: http.client.HTTPConnection, url: str) -> None:
        # An address that was found is this machine's, and proves that no one stands between.
        address = "" if self._server_url else urlsplit(url).netloc
        nonce = secrets.token_urlsafe(24)
        target = f"{urlsplit(url).path}{HELLO_PATH}?nonce={nonce}&address={address}"
        status, answer = _exchange(connection, "GET", target)
        if status != 200 or not is_proof(self._keys, answer, nonce=nonce, address=address):
            raise BrokerUnavailable(
                f"what answers at {url} does not prove that it is this project's push server: "
                "it has another SECRET_KEY or NAMESPACE, refuses this machine (PUBLISH_FROM), or is a stranger"
            )

    def _post(self, connection: http.client.HTTPConnection, url: str, body: bytes) -> None:
        signature = sign_request(self._keys[0], method="POST", path=PUBLISH_PATH, body=body, now=time.time())
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: str(signature)}
        status, answer = _exchange(connection, "POST", f"{urlsplit(url).path}{PUBLISH_PATH}", body, headers)
        if status != 204:
            why = answer[:200] or "the clocks differ by more than a minute, or it has other keys"
            raise BrokerError(f"the push server at {url} refused the publication ({status}): {why}")


class _TimedSocket:
    """What :mod:`http.client` needs of a socket, with one deadline for everything: its own timeout is for each read."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self.arm().sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self))

    def close(self) -> None:
        """Do nothing: http.client closes before it has read a last answer. :func:`_connection` closes."""

    def arm(self) -> socket.socket:
        self._sock.settimeout(_remaining(self._deadline))
        return self._sock


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: _TimedSocket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.arm().recv_into(buffer)


def _remaining(deadline: float) -> float:
    if (remaining := deadline - time.monotonic()) > 0:
        return remaining
    raise TimeoutError(f"no answer within {TIMEOUT:g} s")


@contextmanager
def _connection(url: str, deadline: float) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    timeout = min(CONNECT_TIMEOUT, _remaining(deadline))
    connection = (
        http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=_tls())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    )
    connection.connect()
    with connection.sock as sock:
        connection.sock = _TimedSocket(sock, deadline)
        connection.auto_open = 0  # the proof holds for this connection, not for the next one
        yield connection


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    connection.request(method, target, body, headers or {})
    response = connection.getresponse()
    return response.status, response.read(65_536).decode("utf-8", "replace")


_Encoded = list[bytes]
"""Publications of one request."""


def _split(publications: Sequence[Publication]) -> Iterator[_Encoded]:
    """Encode a batch, for several requests if it is long."""
    encoded: _Encoded = []
    size = 0
    for publication in publications:
        encoded.append(msgspec.json.encode(publication))
        size += len(encoded[-1]) + 1
        if size >= _BODY_SIZE:
            yield encoded
            encoded, size = [], 0
    if encoded:
        yield encoded


def _body(encoded: _Encoded, *, again: bool) -> bytes:
    body = b'{"v":1,"again":%s,"publications":[%s]}' % (b"true" if again else b"false", b",".join(encoded))
    if len(body) > MAX_BODY_BYTES:
        raise BrokerError(
            f"a publication of {len(body)} bytes is longer than the {MAX_BODY_BYTES} that a request holds"
        )
    return body


def _weightiest(errors: Sequence[BrokerError]) -> BrokerError:
    """A refusal says more than a server that is away."""
    return next((error for error in errors if not isinstance(error, BrokerUnavailable)), errors[0])


def _describe(error: Exception) -> str:
    if isinstance(error, http.client.NotConnected):
        return "it hung up after its proof"
    return str(error) or type(error).__name__
