"""Connections of processes that publish: sending commands, and saying what went wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.exceptions import AuthorizationError, BusyLoadingError, MasterDownError, ReadOnlyError
from redis.retry import Retry

from django_jugpush.exceptions import BrokerError, BrokerUnavailable

from .scripts import Argument

__all__ = ["ConnectionBroken", "Connections", "check"]

CONNECT_TIMEOUT = 0.2
"""Seconds that a publish waits for a connection."""

ANSWER_TIMEOUT = 0.8
"""Seconds that a publish waits for an answer."""

MAX_CONNECTIONS = 2**31
"""No limit. redis-py counts all that were ever made, and would refuse the 101st."""

SENT_AT_ONCE = 8 * 1024
"""Bytes in one write, if there are so many, so that Redis begins while the next commands are made."""

_pack: Callable[[Sequence[Argument]], bytes] = pack_command  # type: ignore[assignment] # the stubs know one argument

_BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError)

_UNABLE = (BusyLoadingError, MasterDownError, ReadOnlyError)
"""Answers of a Redis that only starts, or is not, or not yet, the one to write to."""


class ConnectionBroken(BrokerUnavailable):
    """A connection broke after it had been made. Nobody knows what Redis had done by then."""


class Connections:
    """Those of one process to one Redis, one for each thread that publishes at this moment."""

    def __init__(self, url: str) -> None:
        # The pool makes them, and is not asked for them: it counts, times and locks for as long as it takes to send.
        # And in a forked child a lock of it may be held by a thread that is not there.
        self._make: Callable[[], Any] = redis.ConnectionPool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            max_connections=MAX_CONNECTIONS,
        ).make_connection
        self._idle: list[Any] = []
        self._process = os.getpid()

    def exchange(self, commands: Iterable[Sequence[Argument]]) -> list[Any]:
        """
        Send commands in one go, while more are made, and return the answers to them. Errors are among those.

        Raises:
            ConnectionBroken: If the connection did not last until the end.
            BrokerUnavailable: If there was none.
            BrokerError: If Redis refuses the account.
        """
        # Not a pipeline of redis-py: into an error it puts the command, so the data, and that goes into a log.
        connection = self._take()
        try:
            number = _send(connection, commands)
            answers = [_answer(connection) for _ in range(number)]
        except BaseException as error:
            # A task that was told to end in the middle leaves answers behind that the next would take for its own.
            connection.disconnect()
            if isinstance(error, _BROKEN):
                raise ConnectionBroken(f"Redis cannot be reached: {error}") from error
            raise
        if any(type(answer) in _UNABLE for answer in answers):
            connection.disconnect()  # what has this address may be another one next time
        self._idle.append(connection)
        return answers

    def close(self) -> None:
        """Close those that are not in use. There will be others when they are needed."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def _take(self) -> Any:
        if self._process != os.getpid():  # after a fork, those that are there are the parent's
            # In this order: another thread must not take one of theirs in between.
            self._idle, self._process = [], os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._make()
        if not _is_open(connection):
            _open(connection)
        return connection


def check(answers: Sequence[Any]) -> None:
    """Raise :class:`BrokerError` if an answer is an error; :class:`BrokerUnavailable` if another Redis might do it."""
    for answer in answers:
        if isinstance(answer, _UNABLE):
            raise BrokerUnavailable(f"Redis takes no publications: {answer}")
        if isinstance(answer, Exception):
            raise BrokerError(f"Redis refused a publication: {answer}")


def _is_open(connection: Any) -> bool:
    """Tell whether it is, as far as can be seen, and has nothing to say: Redis says why it closes one."""
    try:
        return connection.is_connected and not connection.can_read()
    except _BROKEN:
        return False


def _open(connection: Any) -> None:
    connection.disconnect()
    try:
        connection.connect()
    except (redis.AuthenticationError, AuthorizationError) as error:
        raise BrokerError(f"Redis refused the account: {error}") from error
    except _BROKEN as error:
        raise BrokerUnavailable(f"Redis cannot be reached: {error}") from error
    except redis.RedisError as error:
        raise BrokerError(f"Redis refused the publications: {error}") from error


def _send(connection: Any, commands: Iterable[Sequence[Argument]]) -> int:
    """Send commands, and return how many they were."""
    waiting: list[bytes] = []
    number = size = 0
    for command in commands:
        # By hiredis itself: redis-py takes three times as long to hand it over.
        packed = _pack(command)
        waiting.append(packed)
        number += 1
        size += len(packed)
        if size >= SENT_AT_ONCE:
            connection.send_packed_command([b"".join(waiting)])
            waiting.clear()
            size = 0
    if waiting:
        connection.send_packed_command([b"".join(waiting)])
    return number


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except (redis.ResponseError, BusyLoadingError) as error:
        return error
