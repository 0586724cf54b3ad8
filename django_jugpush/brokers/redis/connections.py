"""Connections of processes that publish: sending commands, and saying what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, MasterDownError, ReadOnlyError
from redis.retry import Retry

from django_jugpush.exceptions import BrokerError, BrokerUnavailable

from .scripts import Argument

__all__ = ["ConnectionBroken", "Connections", "check"]

CONNECT_TIMEOUT = 0.2
"""Seconds that a publish waits for a connection."""

ANSWER_TIMEOUT = 0.8
"""Seconds that a publish waits for an answer."""

MAX_CONNECTIONS = 2**31
"""No limit: there are as many as threads that publish at the same time. redis-py refuses the 101st unless told."""

SENT_AT_ONCE = 50
"""Commands in one write, so that Redis begins while the next are packed."""

_pack: Callable[[Sequence[Argument]], bytes] = pack_command  # type: ignore[assignment] # the stubs know one argument

_UNABLE = (BusyLoadingError, MasterDownError, ReadOnlyError)
"""Answers of a Redis that only starts, or is not, or not yet, the one to write to."""


class ConnectionBroken(BrokerUnavailable):
    """A connection broke after it had been made. Nobody knows what Redis had done by then."""


class Connections:
    """Those of one process to one Redis, one for each thread that publishes at this moment."""

    def __init__(self, url: str) -> None:
        # Not Redis.from_url(): such a client closes its pool when it goes, and a forked child, where a lock of the
        # pool may be held by a thread that is not there, would not come to its end.
        self._pool = redis.ConnectionPool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            max_connections=MAX_CONNECTIONS,
        )

    def exchange(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """
        Send commands in one go, and return the answers to them. Errors are among those.

        Raises:
            ConnectionBroken: If the connection did not last until the end.
            BrokerUnavailable: If there was none.
            BrokerError: If Redis refuses the account.
        """
        if not commands:
            return []
        # Not a pipeline of redis-py: into an error it puts the command, so the data, and that goes into a log.
        connection = self._connect()
        try:
            for start in range(0, len(commands), SENT_AT_ONCE):
                # By hiredis itself: redis-py takes three times as long to hand it over.
                packed = map(_pack, commands[start : start + SENT_AT_ONCE])
                connection.send_packed_command([b"".join(packed)])
            answers = [_answer(connection) for _ in commands]
            if any(type(answer) in _UNABLE for answer in answers):
                connection.disconnect()  # what has this address may be another one next time
            return answers
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise ConnectionBroken(f"Redis cannot be reached: {error}") from error
        finally:
            self._pool.release(connection)

    def close(self) -> None:
        """Close those that are not in use. There will be others when they are needed."""
        self._pool.disconnect()

    def _connect(self) -> Any:
        try:
            return self._pool.get_connection()
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"Redis cannot be reached: {error}") from error
        except redis.RedisError as error:
            raise BrokerError(f"Redis refused the publications: {error}") from error


def check(answers: Sequence[Any]) -> None:
    """Raise :class:`BrokerError` if an answer is one."""
    for answer in answers:
        if isinstance(answer, _UNABLE):
            raise BrokerUnavailable(f"Redis takes no publications: {answer}")
        if isinstance(answer, Exception):
            raise BrokerError(f"Redis refused a publication: {answer}")


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except (redis.ResponseError, BusyLoadingError) as error:
        return error
