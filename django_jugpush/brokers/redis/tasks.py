"""Tasks that end together, and do end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["Tasks", "heed_cancellation"]


class Tasks:
    """
    Tasks of which the first that fails takes the others with it.

    Not :class:`asyncio.TaskGroup`, which up to Python 3.12 leaves the task that owns it as if it had been cancelled.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def fail(self) -> None:
        """Wait until one fails, and raise what it raised; when that, or this one's end, has come, all have ended."""
        try:
            await self._failure
        finally:
            while self._tasks:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failure.done():
            self._failure.set_exception(error)


def heed_cancellation() -> None:
    """
    Raise what a task that was cancelled should have been told by what it awaited.

    redis-py sends by :func:`asyncio.wait_for`, which up to Python 3.11 keeps it to itself if it comes at the end.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
