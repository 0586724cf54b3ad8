"""How often something may be done."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """A bucket of tokens: ``burst`` at once, and ``rate`` a second in the long run."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float, cost: float = 1) -> bool:
        """Take what something costs; return whether it was there. If it was not, nothing is taken."""
        self._fill(now)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def charge(self, now: float, cost: float) -> None:
        """Take what something has cost, of which nobody knew before how much that would be: more than there is, too."""
        self._fill(now)
        self._tokens -= cost

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
