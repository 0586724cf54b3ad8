"""Channels with a ``max_rate``: what comes too soon waits, and of what waits the newest counts."""

from __future__ import annotations

import heapq

from .publication import Publication

__all__ = ["Pacing"]


class Pacing:
    """
    Says of each publication when it may go out.

    ::

        for publication in pacing.offer(publication, now=clock()): ...
        for publication in pacing.tick(clock()): ...             # at pacing.due
    """

    def __init__(self) -> None:
        self._pauses: dict[str, Publication | None] = {}  # what waits for their end
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Count the channels that have a pause."""
        return len(self._pauses)

    @property
    def due(self) -> float | None:
        """When to call :meth:`tick`; None if nothing waits."""
        return self._ends[0][0] if self._ends else None

    def offer(self, publication: Publication, *, now: float) -> list[Publication]:
        """Take what is published; return what goes out at once."""
        channel = publication.full_name
        if not publication.is_paced:
            if newest := self._pauses.get(channel):
                self._pauses[channel] = None
                return [newest, publication]  # in order
            return [publication]
        if channel not in self._pauses:
            self._begin(publication, now)
            return [publication]
        self._pauses[channel] = publication
        return []

    def tick(self, now: float) -> list[Publication]:
        """Let time pass; return what goes out."""
        publications = []
        while self._ends and self._ends[0][0] <= now:
            _, channel = heapq.heappop(self._ends)
            if newest := self._pauses.pop(channel):
                publications.append(newest)
                self._begin(newest, now)
        return publications

    def _begin(self, publication: Publication, now: float) -> None:
        assert publication.max_rate
        self._pauses[publication.full_name] = None
        heapq.heappush(self._ends, (now + 1 / publication.max_rate, publication.full_name))
