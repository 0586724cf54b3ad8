"""Batches in slices: as much as the script that publishes is given at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django_jugpush.core.publication import Publication

from .names import RedisNames
from .scripts import PUBLISH, Argument, encode

__all__ = ["SLICE_BYTES", "SLICE_LENGTH", "Slice", "in_slices"]

SLICE_LENGTH = 50
"""Publications in one slice at most: while one is taken, Redis does nothing else."""

SLICE_BYTES = 64 * 1024
"""Bytes in one slice at most, unless already the first publication has more."""


class Slice:
    """Publications in order. What is for one channel shares what is done for each channel."""

    __slots__ = ("_channels", "_is_bounded", "_items", "_length", "_size")

    def __init__(self, *, is_bounded: bool = True) -> None:
        self._is_bounded = is_bounded
        self._channels: dict[str, _Channel] = {}
        self._items: list[Argument] = []
        self._length = 0
        self._size = 0

    def add(self, publication: Publication, payload: bytes) -> bool:
        """Take one more, and return True; or return False, as it would be too much."""
        self._size += len(payload)
        is_full = self._length == SLICE_LENGTH or self._size > SLICE_BYTES
        if self._is_bounded and self._length and is_full:
            return False
        self._length += 1
        name = publication.full_name
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel(len(self._channels) + 1)
        channel.length += 1
        channel.newest_at = self._length
        channel.newest = publication
        self._items += channel.number, publication.id, payload
        return True

    def command(
        self, names: RedisNames, history: tuple[int, float], *, again: bool, in_full: bool
    ) -> tuple[Argument, ...]:
        """
        Return what publishes them.

        Args:
            names: What the channels are called.
            history: How much is kept of those of which no publication says so.
            again: They may have been published before.
            in_full: Bring the script along.
        """
        keys: list[str] = []
        arguments: list[Argument] = [int(again)]
        for full_name, channel in self._channels.items():
            heard, meta, stream = names.of(full_name)
            keys += meta, stream
            newest = channel.newest
            length, seconds = newest.history or history
            arguments += heard, length, round(seconds * 1000)
            arguments += channel.length, channel.newest_at, int(newest.is_kept_as_last)
        return PUBLISH.call(keys, *arguments, *self._items, in_full=in_full)


class _Channel:
    """What a slice has of one channel."""

    __slots__ = ("length", "newest", "newest_at", "number")

    newest: Publication
    newest_at: int

    def __init__(self, number: int) -> None:
        self.number = number
        self.length = 0


def in_slices(publications: Iterable[Publication], *, again: bool = False) -> Iterator[tuple[Slice, bool]]:
    """
    Divide a batch; with each slice, say whether another follows.

    What may have been published before is one slice: where it ends, something is known of all of it.
    """
    current = Slice(is_bounded=not again)
    for publication in publications:
        payload = encode(publication)
        if not current.add(publication, payload):
            yield current, True
            current = Slice()
            current.add(publication, payload)
    yield current, False
