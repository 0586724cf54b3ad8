"""The event loop's time, shared out among connections."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

__all__ = ["BUDGET", "Turns"]

logger = logging.getLogger(__name__)

BUDGET = 0.001
"""Seconds of one turn of the event loop that may go into what clients say. The rest of it is for what they are told."""


class Turns:
    """
    Does what clients ask for step by step, each client's next step after one of everybody else's.

    Hundreds of clients that say much at the same time would make one turn of the event loop long, however little each
    of them may say in it, and publications would wait.
    """

    def __init__(self, budget: float = BUDGET) -> None:
        self._budget = budget
        self._steps: deque[Callable[[], None]] = deque()
        self._used = 0.0
        self._is_busy = False
        self._is_expected = False

    def do(self, step: Callable[[], None]) -> None:
        """Do a step: at once if this turn has time for it, or else in one of the next."""
        self._steps.append(step)
        if not self._is_busy:
            self._work()

    async def done(self, step: Callable[[], None]) -> None:
        """Do a step, and return or raise as it does."""
        if not self._steps and not self._is_busy and self._used < self._budget:
            failure: list[Exception] = []
            self.do(lambda: _catch(step, failure))
            if failure:
                raise failure[0]
            return
        future = asyncio.get_running_loop().create_future()
        self.do(lambda: _settle(step, future))
        await future

    def _work(self) -> None:
        self._is_busy = True
        try:
            while self._steps and self._used < self._budget:
                started = time.perf_counter()
                step = self._steps.popleft()
                try:
                    step()
                except Exception:
                    logger.exception("A connection failed.")
                self._used += time.perf_counter() - started
        finally:
            self._is_busy = False
            if not self._is_expected:
                self._is_expected = True
                asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._is_expected = False
        self._used = 0.0
        if self._steps:
            self._work()


def _catch(step: Callable[[], None], failure: list[Exception]) -> None:
    try:
        step()
    except Exception as error:
        failure.append(error)


def _settle(step: Callable[[], None], future: asyncio.Future[None]) -> None:
    if future.done():  # whoever waits for it has been cancelled
        return
    try:
        step()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(None)
