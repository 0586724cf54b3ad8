"""How many connections there may be, and which were dropped before they could say a word of the protocol."""

from __future__ import annotations

import enum
import functools
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable

from .proxies import counted_address
from .refusals import RefusalLog

__all__ = ["SPARE_FILES", "Drop", "Guard", "Ticket"]

logger = logging.getLogger(__name__)

SPARE_FILES = 200
"""Open files that are left for everything else."""

EXTRA = 100
"""Connections above the limit that are heard out, so that they can be told; what is above that is closed at once."""


class Drop(enum.Enum):
    """Why a connection was dropped by what lies below the protocol: a closed table, whose values label a metric."""

    message: str
    status: int

    def __new__(cls, value: str, message: str, status: int) -> Drop:
        drop = object.__new__(cls)
        drop._value_ = value
        drop.message = message
        drop.status = status
        return drop

    MALFORMED = "malformed", "a request that is no HTTP", 400
    TIMEOUT = "timeout", "a request or its answer took too long", 408
    BODY = "body", "a request with a body that is too long, or of no known length", 413
    HEAD = "head", "a request with a head that is too long", 431
    ADDRESS = "address", "too many connections of one address", 429
    FULL = "full", "too many connections", 503
    FRAGMENTS = "fragments", "a message in too many fragments", 1008
    FRAMES = "frames", "too many control frames and fragments", 1008


class Guard:
    """
    Counts open connections, and those of each address.

    Args:
        max_connections: None for as many as the process may open files, less :data:`SPARE_FILES`.
        max_per_address: None for any number.
    """

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_per_address: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped: Counter[Drop] = Counter()
        self.connections = 0
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._of_address: Counter[str] = Counter()
        self._refusals = RefusalLog(logger, clock)

    @functools.cached_property
    def limit(self) -> int:
        """How many connections there may be; looked up late, since a server raises the number of its files first."""
        return self._max_connections or max(100, _file_limit() - SPARE_FILES)

    def open(self) -> Ticket:
        """Take note of a connection."""
        self.connections += 1
        return Ticket(self)

    @property
    def is_crowded(self) -> bool:
        """Whether there is no time to hear a newcomer out."""
        return self.connections > self.limit + EXTRA

    def claim(self, ticket: Ticket, address: str | None) -> Drop | None:
        """Count a connection as one of ``address``; return why it may not be. Who is counted already may stay."""
        key = counted_address(address)
        if key is None or self._max_per_address is None or ticket.address:
            return None
        if self._of_address[key] >= self._max_per_address:
            return Drop.ADDRESS
        self._of_address[key] += 1
        ticket.address = key
        return None

    def admit(self, ticket: Ticket, address: str | None) -> Drop | None:
        """Decide whether a connection may become one that lasts; return why not."""
        return Drop.FULL if self.connections > self.limit else self.claim(ticket, address)

    def note(self, drop: Drop, address: str | None) -> None:
        """Count a connection that is dropped, and say so in the log."""
        self.dropped[drop] += 1
        self._refusals.add(drop, address or "")

    def close(self, ticket: Ticket) -> None:
        """Take note that a connection is no more."""
        self.connections -= 1
        if key := ticket.address:
            self._of_address[key] -= 1
            if not self._of_address[key]:
                del self._of_address[key]


class Ticket:
    """One connection's place. It goes from hand to hand when the connection changes its protocol."""

    __slots__ = ("_guard", "address")

    def __init__(self, guard: Guard) -> None:
        self._guard: Guard | None = guard
        self.address = ""
        """Whom it is counted for."""

    def drop(self, drop: Drop, address: str | None = None) -> None:
        """Take note that the connection is dropped."""
        if self._guard:
            self._guard.note(drop, address or self.address)

    def release(self) -> None:
        """Give the place back. Only the first call counts."""
        if guard := self._guard:
            self._guard = None
            guard.close(self)


def _file_limit() -> int:
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
