"""Whether a client is still there."""

from __future__ import annotations

__all__ = ["Heartbeat"]


class Heartbeat:
    """Asks a client for a sign of life every ``interval`` seconds; when two have passed without one, it is gone."""

    __slots__ = ("_due", "heard_at", "interval")

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.heard_at = 0.0
        """When the client gave its last sign of life."""
        self._due = 0.0

    def start(self, now: float) -> None:
        """Begin with a client that has just come."""
        self.heard_at = now
        self._due = now + self.interval

    def hear(self, now: float) -> None:
        """Take a sign of life."""
        self.heard_at = now

    def is_silent(self, now: float) -> bool:
        """Tell whether the client has been silent for too long."""
        return now - self.heard_at >= 2 * self.interval

    def is_due(self, now: float) -> bool:
        """Tell whether to ask the client for a sign of life: yes once in each interval."""
        if now < self._due:
            return False
        self._due = now + self.interval
        return True
