"""A log of refusals that a flood of them cannot flood."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

__all__ = ["MAX_PER_SECOND", "Code", "RefusalLog"]

MAX_PER_SECOND = 10
"""Lines about one code that are written in one second; the rest is counted."""


class Code(Protocol):
    """A member of a closed table."""

    message: str

    @property
    def name(self) -> str: ...


class RefusalLog:
    """Says why clients are refused. What came from a client is quoted and cut."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._clock = clock
        self._since: dict[Code, float] = {}
        self._count: dict[Code, int] = {}

    def add(self, code: Code, subject: str, detail: str = "", *, fault: Exception | None = None) -> None:
        """Note that ``subject`` (a channel, an origin, an address) was refused, perhaps by a ``fault`` of ours."""
        now = self._clock()
        if now - self._since.get(code, float("-inf")) >= 1:
            suppressed = self._count.get(code, 0) - MAX_PER_SECOND
            if suppressed > 0:
                self._logger.warning("%s: %d more were refused.", code.name, suppressed)
            self._since[code] = now
            self._count[code] = 0
        self._count[code] += 1
        if self._count[code] <= MAX_PER_SECOND:
            level = logging.WARNING if fault is None else logging.ERROR
            text = detail or code.message
            self._logger.log(level, "%s: %r refused: %s", code.name, subject[:100], text, exc_info=fault)
