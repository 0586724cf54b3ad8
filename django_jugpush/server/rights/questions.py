"""Threads in which the project is asked: authorizers and databases may take their time, the event loop may not."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

__all__ = ["MAX_OF_ONE", "MAX_WAITING", "TIMEOUT", "WORKERS", "Questions", "TooManyQuestions"]

WORKERS = 4
"""Threads, so database connections, at most. They begin with the first questions."""

MAX_WAITING = 1000
"""Questions that wait for a thread at most."""

MAX_OF_ONE = 200
"""Of these, how many about one user at most, however many connections ask: more than a page has channels."""

TIMEOUT = 10.0
"""Seconds after which an answer comes too late."""

T = TypeVar("T")


class TooManyQuestions(Exception):
    """The project does not keep up."""


class Questions:
    """A pool of daemon threads: one that hangs keeps neither the others nor the end of the process waiting."""

    def __init__(self, *, workers: int = WORKERS, max_waiting: int = MAX_WAITING, timeout: float = TIMEOUT) -> None:
        self._workers = workers
        self._timeout = timeout
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(max_waiting)
        self._threads: list[threading.Thread] = []
        self._of_one: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._jobs.qsize()

    async def ask(self, function: Callable[..., T], *arguments: Any, about: Hashable = None) -> T:
        """
        Call a function in a thread, and return what it returns.

        Raises:
            TooManyQuestions: If too many wait already, or too many ``about`` the same.
            TimeoutError: If it takes too long. The thread is busy with it all the same.
            Exception: What the function raises.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            self._count(about, -1)
            if answer.cancelled():
                return
            try:
                result = function(*arguments)
            except BaseException as error:
                _settle(loop, answer, error=error)
            else:
                _settle(loop, answer, result=result)

        if about is not None and self._of_one[about] >= MAX_OF_ONE:
            raise TooManyQuestions
        self._count(about, 1)
        try:
            self._jobs.put_nowait(work)
        except queue.Full:
            self._count(about, -1)
            raise TooManyQuestions from None
        self._begin()
        async with asyncio.timeout(self._timeout):
            return await answer

    def stop(self) -> None:
        """Let the threads end when they have nothing left to do."""
        for _ in self._threads:
            try:
                self._jobs.put_nowait(None)
            except queue.Full:
                break
        self._threads = []

    def _count(self, about: Hashable, number: int) -> None:
        """Count what waits, also for nobody any more: it takes a place until a thread comes to it."""
        if about is None:
            return
        with self._lock:
            self._of_one[about] += number
            if not self._of_one[about]:
                del self._of_one[about]

    def _begin(self) -> None:
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=f"jugpush-questions-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[Any],
    *,
    result: Any = None,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
        loop.call_soon_threadsafe(settle)
