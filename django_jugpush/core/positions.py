"""
Where something stands in a channel's stream.

Each channel is a stream with an *epoch*, made at random when the stream begins, and each publication in it has an
*offset* (1, 2, 3 …) and the time at which the broker took it. All three together are a position. A stream that comes
back older than it was, from a snapshot or after a failover, gives its offsets again, but not at the same milliseconds:
so only what has exactly this position is what a client means by it.

A position without an epoch is a moment: where a page stands that was rendered then, or a client that was subscribed
before anything had ever been published.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Position"]

_POSITION = re.compile(r"([0-9A-Za-z_-]{0,32}):([0-9]{1,16})-([0-9]{1,16})")


class Position(NamedTuple):
    """A place in a stream, or a moment. Written as ``epoch:offset-ms``; clients look at nothing but the offset."""

    epoch: str
    offset: int
    ms: int
    """Milliseconds since 1970, by the broker's clock."""

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Read what ``str()`` of a position makes; None if it is something else."""
        if match := _POSITION.fullmatch(text):
            return cls(match[1], int(match[2]), int(match[3]))
        return None

    @classmethod
    def moment(cls, ms: int) -> Position:
        """Return the position of whoever knows all that was published before a moment."""
        return cls("", 0, ms)

    @property
    def is_moment(self) -> bool:
        """Whether it says when, and not where."""
        return not self.epoch

    def precedes(self, other: Position) -> bool:
        """
        Tell whether what stands here is of no use to who stands at ``other``: known there, or of a lost stream.

        Told by the time and not by the offset alone, for a stream that came back older gives its offsets again, later;
        and what was on its way when a stream was lost arrives when another one has begun.
        """
        if self.epoch == other.epoch and self.offset > other.offset:
            return False
        return self.ms < other.ms if other.is_moment else self.ms <= other.ms

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}-{self.ms}"
