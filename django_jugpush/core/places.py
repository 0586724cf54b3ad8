"""
Who is to wait how long, where all have the same to do: each for its own part of the time, as evenly apart as can be.

Chance would do that on the average only: with fifty a second, one second in a hundred has seventy.
"""

from __future__ import annotations

import random
from collections.abc import Hashable
from heapq import heappop, heappush

__all__ = ["Places"]

GOLDEN = (5**0.5 - 1) / 2
"""The first *n* multiples of no other number are as evenly spread between integers, whatever *n* is."""

DIGITS = 6
"""Of a place: for a million clients."""


class Places:
    """
    Hands out numbers from 0 to 1 that are evenly spread, however many they are.

    What is given back is handed out again first, or else the places of those who stay would be left to chance. They
    partly are, while many have gone and few have come since.
    """

    def __init__(self) -> None:
        # Servers side by side do not have all their first clients act at the same time.
        self._start = random.random()
        self._free: list[int] = []
        self._taken: dict[Hashable, int] = {}

    def __getitem__(self, who: Hashable) -> float:
        return round((self._start + self._taken[who] * GOLDEN) % 1, DIGITS)

    def take(self, who: Hashable) -> None:
        """Give somebody a place."""
        self._taken[who] = heappop(self._free) if self._free else len(self._taken)

    def give_back(self, who: Hashable) -> None:
        """Take it back."""
        heappush(self._free, self._taken.pop(who))
