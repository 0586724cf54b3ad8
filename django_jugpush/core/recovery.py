"""
Live traffic of one channel made whole: in order, without a gap or a duplicate, or with the word that something is lost.

What is heard live is quick but may have holes: a connection that broke, a message that a broker dropped. The stream is
the truth for as long as it is kept. A :class:`Follower` compares the two: it lets through what follows upon what was
before, holds the rest, and says when the stream must be read; what comes of that is merged with what is held.
"""

from __future__ import annotations

from collections.abc import Sequence

from .channels import split_name
from .history import Replay
from .positions import Position
from .publication import Publication

__all__ = ["MAX_HELD", "Follower"]

MAX_HELD = 1000
"""Publications that are held while the stream is read; with more, it is read again."""


class Follower:
    """
    What a push server knows of one channel that it hears.

    ::

        publications = follower.receive(publication)         # live; deliver what comes back
        if follower.is_behind:
            replay = ...                                     # what the stream has after follower.position
            publications = follower.catch_up(replay)         # deliver this too, and look again
    """

    __slots__ = ("_channel", "_held", "_overflowed", "position")

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self.position: Position | None = None
        """Of the newest publication that was let through; None before anything is known of the stream."""
        self._held: list[Publication] | None = None
        self._overflowed = False

    @property
    def is_behind(self) -> bool:
        """Whether the stream must be read."""
        return self._held is not None

    def start(self, position: Position | None) -> None:
        """Take note of where the stream ends, unless that is known."""
        if self.position is None:
            self.position = position

    def interrupt(self) -> None:
        """Take note that something may have been missed."""
        if self.position is not None and self._held is None:
            self._held = []

    def receive(self, publication: Publication) -> Sequence[Publication]:
        """Take what was heard live; return what can be delivered."""
        position = publication.position
        if position is None:  # never was in a stream
            return [publication]
        if self._held is not None:
            self._hold(publication)
        elif self.position is None or _follows(position, self.position):
            self.position = position
            return [publication]
        elif not _is_known(position, self.position):
            self._held = [publication]
        return ()

    def catch_up(self, replay: Replay) -> Sequence[Publication]:
        """Take what the stream has after :attr:`position`; return what can be delivered."""
        assert self._held is not None
        publications = [*replay.publications]
        if not replay.is_complete:
            publications.insert(0, self._gap(replay.position))
        self.position = replay.position
        if replay.more:
            return publications
        held, self._held = self._held, [] if self._overflowed else None
        self._overflowed = False
        for publication in held:
            publications += self.receive(publication)
        return publications

    def _hold(self, publication: Publication) -> None:
        assert self._held is not None
        if len(self._held) >= MAX_HELD:
            self._held.clear()
            self._overflowed = True
        self._held.append(publication)

    def _gap(self, position: Position | None) -> Publication:
        namespace, channel = split_name(self._channel)
        return Publication(id="", channel=channel, namespace=namespace, stale="gap", position=position)


def _follows(position: Position, before: Position) -> bool:
    if before.is_moment:
        return position.offset == 1
    return position.epoch == before.epoch and position.offset == before.offset + 1


def _is_known(position: Position, before: Position) -> bool:
    # A stream that came back older than it was gives its offsets again, but at a later time.
    return before.covers(position) and position.ms <= before.ms
