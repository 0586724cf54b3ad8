"""
Live traffic of one channel made whole: in order, without a gap or a duplicate, or with the word that something is lost.

What is heard live is quick but may have holes: a connection that broke, a message that a broker dropped. The stream is
the truth for as long as it is kept. A :class:`Follower` compares the two: it lets through what follows upon what was
before, holds the rest, and says when the stream must be read; what comes of that is merged with what is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .channels import split_name
from .history import Replay
from .positions import Position
from .publication import Publication

__all__ = ["MAX_HELD", "Follower", "for_client"]

MAX_HELD = 1000
"""Publications that are held while the stream is read; with more, it is read again."""


class Follower:
    """
    What a push server knows of one channel that it hears.

    ::

        publications = follower.receive(publication)         # live; deliver what comes back
        if follower.is_behind:
            replay = ...                                     # what the stream has after follower.ask()
            publications = follower.catch_up(replay)         # deliver this too, and look again
    """

    __slots__ = ("_channel", "_held", "_must_ask_again", "heard", "position")

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self.position: Position | None = None
        """Of the newest publication that was let through; None before anything is known of the stream."""
        self.heard: Position | None = None
        """Of the newest publication that was heard live, be it let through or held."""
        self._held: list[Publication] | None = None
        self._must_ask_again = False

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
        if self._held is not None:
            self._must_ask_again = True
        elif self.position is not None:
            self._held = []

    def receive(self, publication: Publication) -> Sequence[Publication]:
        """Take what was heard live; return what can be delivered."""
        position = publication.position
        if position is None:  # never was in a stream
            return [publication]
        if self._held is not None:
            self._hold(publication)
        elif self.position is None or _follows(position, self.position):
            self.position = self.heard = position
            return [publication]
        elif not position.precedes(self.position):
            self._held = []
            self._hold(publication)
        return ()

    def ask(self) -> Position:
        """Return the position after which the stream must be read. What is held will be in that."""
        assert self._held is not None and self.position is not None
        self._held.clear()
        self._must_ask_again = False
        return self.position

    def catch_up(self, replay: Replay) -> Sequence[Publication]:
        """Take what the stream has after :attr:`position`; return what can be delivered."""
        assert self._held is not None
        publications = [*replay.publications]
        if not replay.is_complete:
            # Who is cut off between the two comes back for the newest.
            told = _before(publications[0].position) if publications else replay.position
            publications.insert(0, self._gap(told))
        self.position = replay.position
        if replay.more:
            return publications
        held, self._held = self._held, [] if self._must_ask_again else None
        self._must_ask_again = False
        for publication in held:
            publications += self.receive(publication)
        return publications

    def _hold(self, publication: Publication) -> None:
        assert self._held is not None
        if len(self._held) >= MAX_HELD:
            self._held.clear()
            self._must_ask_again = True
        self._held.append(publication)
        self.heard = publication.position

    def _gap(self, position: Position | None) -> Publication:
        namespace, channel = split_name(self._channel)
        return Publication(id="", channel=channel, namespace=namespace, stale="gap", position=position)


def for_client(replay: Replay, *, client: str, history_from: float | None) -> Replay:
    """
    Return what of a replay one client gets.

    It gets nothing that excludes it, of a channel with a ``max_rate`` only the newest and the word that something is
    missing, and nothing from before ``history_from`` (seconds since 1970), where its right to listen begins: what it
    misses then is not recovered. The newest of a channel that keeps it for its new subscribers is there for this one
    too.
    """
    earliest = 0 if history_from is None else round(history_from * 1000)
    publications = list(replay.publications)
    allowed = [one for one in publications if one.position is None or one.position.ms >= earliest]
    is_complete = replay.is_complete
    if len(allowed) < len(publications):
        newest = publications[-1]
        # Where there is more, it is not the channel's newest.
        is_kept = newest.is_kept_as_last and not replay.more
        is_complete = is_complete and publications == [newest] and is_kept
        allowed = [newest] if is_kept else []
    if allowed and allowed[-1].max_rate:
        allowed[:-1] = [one for one in allowed[:-1] if one.stale]
    return replace(replay, is_complete=is_complete, publications=[one for one in allowed if client not in one.exclude])


def _before(position: Position | None) -> Position | None:
    return position and position._replace(offset=max(0, position.offset - 1))


def _follows(position: Position, before: Position) -> bool:
    # Not upon a moment: before the first of a stream there may have been another stream, which was lost.
    return position.epoch == before.epoch and position.offset == before.offset + 1
