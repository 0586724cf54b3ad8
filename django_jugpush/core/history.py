"""
What a broker keeps of each channel, and what it answers to whoever comes back with a position.

A :class:`Replay` is such an answer. :class:`Streams` keeps channels in memory; brokers that keep them elsewhere answer
with the same words.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from .positions import Position
from .publication import Publication

__all__ = ["DEFAULT_HISTORY", "PAGE_BYTES", "PAGE_LENGTH", "Replay", "Streams", "first_page", "make_epoch", "with_last"]

DEFAULT_HISTORY = (100, 300.0)
"""How many publications of a channel are kept, and how many seconds after the newest."""

PAGE_LENGTH = 100
"""How many publications one answer holds at most …"""

PAGE_BYTES = 64 * 1024
"""… and how many bytes of their data, unless already the first has more. A slow link gets it within a heartbeat."""

LARGEST_PART = 4
"""One channel takes at most this part of the memory for all: otherwise what is busiest would crowd out all others."""

_ENTRY_BYTES = 400
"""What a publication takes beside its data, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What was published after a position."""

    is_complete: bool
    """Whether nothing is missing, counting what there is ``more``."""

    publications: Sequence[Publication] = ()
    """In order. Of what is not complete at most the newest, if the channel keeps that."""

    position: Position | None
    """Of whoever has taken them; None if the broker knows no positions."""

    more: bool = False
    """Whether there are more, after ``position``."""


def make_epoch() -> str:
    """Return the name of a stream that begins."""
    return secrets.token_urlsafe(6)


def first_page(publications: Iterable[Publication]) -> list[Publication]:
    """Return as many of them as one answer holds."""
    page: list[Publication] = []
    size = 0
    for publication in islice(publications, PAGE_LENGTH):
        size += len(bytes(publication.data))
        if page and size > PAGE_BYTES:
            break
        page.append(publication)
    return page


def with_last(replay: Replay, since: Position | None, last: Publication | None) -> Replay:
    """Add the publication that the channel keeps for its new subscribers, for those who cannot have it yet."""
    # Where there is more, it is the last of that.
    has_it = replay.is_complete and since is not None and (replay.more or not since.is_moment)
    if last is None or has_it or any(one.position == last.position for one in replay.publications):
        return replay
    return replace(replay, publications=[last, *replay.publications])


class _Stream:
    """One channel."""

    __slots__ = ("before", "bytes", "entries", "last", "newest", "position", "seconds")

    def __init__(self, epoch: str) -> None:
        self.position = Position(epoch, 0, 0)
        self.newest = ""
        """The id of the newest publication."""
        self.before = self.position
        """Of what the oldest entry follows upon, which is not there itself."""
        self.entries: deque[Publication] = deque()
        self.seconds = 0.0
        self.last: Publication | None = None
        self.bytes = _ENTRY_BYTES

    def add(self, publication: Publication, now: int, history: tuple[int, float]) -> Publication:
        length, self.seconds = history
        epoch, offset, ms = self.position
        self.position = Position(epoch, offset + 1, max(ms, now))
        added = publication.at(self.position)
        self.newest = added.id
        self.entries.append(added)
        self.bytes += _size(added)
        self._shorten(length)
        self._keep_last(added)
        return added

    def expire(self, now: int) -> None:
        if now - self.position.ms >= self.seconds * 1000:
            self._shorten(0)

    def fit(self, max_bytes: int) -> None:
        """Drop the oldest entries until the rest takes no more than so much; what is kept as last stays."""
        while self.entries and self.bytes > max_bytes:
            self._drop_oldest()

    def has(self, id: str) -> bool:
        return id == self.newest or any(entry.id == id for entry in self.entries)

    def after(self, since: Position, *, is_whole_since: int) -> list[Publication] | None:
        """Return what came after ``since``; None if not all of it is there."""
        if since.is_moment:
            is_whole = since.ms >= is_whole_since and self.before.ms < since.ms
            return (
                [entry for entry in self.entries if entry.position and entry.position.ms >= since.ms]
                if is_whole
                else None
            )
        if since == self.before:
            return [*self.entries]
        # The entry itself must be there: another one at the same offset is of another past.
        index = since.offset - self.before.offset - 1
        if 0 <= index < len(self.entries) and self.entries[index].position == since:
            return list(islice(self.entries, index + 1, None))
        return None

    def _shorten(self, length: int) -> None:
        while len(self.entries) > length:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self.entries.popleft()
        self.bytes -= _size(oldest)
        self.before = oldest.position or self.before

    def _keep_last(self, added: Publication) -> None:
        if self.last:
            self.bytes -= _size(self.last)
        self.last = added if added.is_kept_as_last else None
        if self.last:
            self.bytes += _size(self.last)


class Streams:
    """
    The channels of a broker that keeps them in memory, bounded in bytes: what was used longest ago goes first.

    Args:
        now: When this memory begins: milliseconds since 1970.
        default: How many publications of a channel are kept, and how many seconds after the newest.
        max_bytes: What all channels together may take, about; one alone the :data:`LARGEST_PART` of it.
        make_epoch: Names a stream that begins.
    """

    def __init__(
        self,
        *,
        now: int,
        default: tuple[int, float] = DEFAULT_HISTORY,
        max_bytes: int = 64 * 1024 * 1024,
        make_epoch: Callable[[], str] = make_epoch,
    ) -> None:
        self.is_whole_since = now
        """Nothing that was published after this moment is forgotten but what :class:`Replay` tells of."""
        self.bytes = 0
        self._default = default
        self._max_bytes = max_bytes
        self._make_epoch = make_epoch
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, publication: Publication, *, now: int) -> Publication:
        """Take a publication and return it with its position."""
        channel = publication.full_name
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = _Stream(self._make_epoch())
            self.bytes += stream.bytes
        self._streams.move_to_end(channel)
        before = stream.bytes
        stream.expire(now)
        added = stream.add(publication, now, publication.history or self._default)
        stream.fit(self._max_bytes // LARGEST_PART)
        self.bytes += stream.bytes - before
        self._evict()
        return added

    def without_known(self, publications: Sequence[Publication]) -> list[Publication]:
        """Return what of a batch was not added before: what follows, in its channel, upon the last that is known."""
        known: dict[str, int] = {}
        for number, publication in enumerate(publications):
            stream = self._streams.get(publication.full_name)
            if stream and stream.has(publication.id):
                known[publication.full_name] = number
        return [one for number, one in enumerate(publications) if number > known.get(one.full_name, -1)]

    def read(self, channel: str, since: Position | None, *, now: int) -> Replay:
        """Return what came after ``since`` to the channel of this full name; without it, where its stream ends."""
        stream = self._streams.get(channel)
        if stream is None:
            is_complete = since is None or (since.is_moment and since.ms >= self.is_whole_since)
            return Replay(is_complete=is_complete, position=Position.moment(now))
        self._streams.move_to_end(channel)
        before = stream.bytes
        stream.expire(now)
        self.bytes += stream.bytes - before
        missed = [] if since is None else stream.after(since, is_whole_since=self.is_whole_since)
        page = first_page(missed or ())
        more = len(page) < len(missed or ())
        replay = Replay(
            is_complete=missed is not None,
            publications=page,
            position=page[-1].position if more else stream.position,
            more=more,
        )
        return with_last(replay, since, stream.last)

    def _evict(self) -> None:
        while self.bytes > self._max_bytes:
            _, stream = self._streams.popitem(last=False)
            self.bytes -= stream.bytes
            # Of a channel without a stream nobody can tell whether it ever had one.
            self.is_whole_since = max(self.is_whole_since, stream.position.ms + 1)


def _size(publication: Publication) -> int:
    return len(bytes(publication.data)) + _ENTRY_BYTES
