"""The scripts that Redis runs, and what their answers mean. Each is described at its beginning, in ``brokers/lua``."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from django_jugpush.core.channels import split_name
from django_jugpush.core.history import PAGE_BYTES, PAGE_LENGTH, Replay
from django_jugpush.core.positions import Position
from django_jugpush.core.publication import Publication

__all__ = [
    "FOLLOW",
    "PUBLISH",
    "READ",
    "RENEW",
    "Answer",
    "Argument",
    "Memory",
    "Script",
    "decode",
    "encode",
    "gap",
    "parse_answer",
    "parse_position",
    "since_arguments",
]

logger = logging.getLogger(__name__)

KNOWN_MS = 30 * 24 * 3600 * 1000
"""Milliseconds after its newest publication for which it is known at least that a stream was there: see publish.lua."""

Argument = str | bytes | int

_decoder = msgspec.json.Decoder(Publication)

encode = msgspec.json.Encoder().encode
"""Returns what a publication is in Redis."""


class Script:
    """One of them."""

    def __init__(self, name: str) -> None:
        self._text = files("django_jugpush.brokers").joinpath("lua", f"{name}.lua").read_bytes()
        self._hash = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *arguments: Argument, in_full: bool = False) -> tuple[Argument, ...]:
        """Return the command that runs it; ``in_full`` also on a Redis that does not know it, which then does."""
        start = ("EVAL", self._text) if in_full else ("EVALSHA", self._hash)
        return (*start, len(keys), *keys, *arguments)


PUBLISH = Script("publish")
READ = Script("read")
FOLLOW = Script("follow")
RENEW = Script("renew")


class Answer(NamedTuple):
    """What the script that reads found."""

    replay: Replay
    last: Publication | None
    """What the channel keeps for its new subscribers."""

    end: Position
    """Where the stream ends, or the moment if there is none."""

    is_of_another_past: bool
    """Whether at the position that was asked for there is something else."""


def since_arguments(since: Position | None) -> tuple[Argument, ...]:
    """Return what the script that reads is told."""
    where: tuple[str, str, str]
    if since is None:
        where = ("", "", "")
    elif since.is_moment:
        where = ("", "", str(since.ms))
    else:
        where = (since.epoch, f"{since.offset}-{since.ms}", "")
    return (*where, PAGE_LENGTH, PAGE_BYTES)


class Memory(NamedTuple):
    """What the script that follows found; moments are in milliseconds."""

    since: int
    """From when on nothing is forgotten without a trace."""

    beat: int
    """When it looked."""

    back: int
    """When a Redis came back that was older than it had been; 0 if none ever did."""

    servers: int
    """How many push servers follow it."""

    def covers(self, since: Position) -> bool:
        """Tell whether all that was published after a position is remembered, or not there though it should be."""
        return since.ms >= (self.since if since.is_moment else self.back)


def parse_answer(answer: Sequence[Any], channel: str, since: Position | None, memory: Memory) -> Answer:
    """Read what the script that reads answers about the channel of this full name."""
    state, epoch, last, now, more, entries, *kept = answer
    end = parse_position(epoch, last) if epoch else Position.moment(int(now))
    page = [decode(payload, channel, parse_position(epoch, id)) for id, payload in _pairs(entries)]
    publications = [publication for publication in page if publication]
    is_complete = (
        state == b"whole"
        and (since is None or (memory.covers(since) and not _may_have_expired(since, int(now))))
        # What is no publication may have been one.
        and len(publications) == len(page)
    )
    if not is_complete:
        replay = Replay(is_complete=False, position=end)
    else:
        stands_at = publications[-1].position if more else end
        replay = Replay(is_complete=True, publications=publications, position=stands_at, more=bool(more))
    newest = decode(kept[0], channel, parse_position(epoch, kept[1])) if kept and kept[0] else None
    return Answer(replay, newest, end, is_of_another_past=state == b"other")


def parse_position(epoch: bytes, id: bytes) -> Position:
    """Return the position of an entry."""
    offset, _, ms = id.partition(b"-")
    return Position(epoch.decode(), int(offset), int(ms))


def gap(full_name: str) -> Publication:
    """Return what tells a channel that something is lost."""
    namespace, channel = split_name(full_name)
    return Publication(id="", channel=channel, namespace=namespace, stale="gap")


def decode(data: bytes, full_name: str, position: Position) -> Publication | None:
    """Return the publication, if it is one for the channel that it came by: Redis guards those, not what is in it."""
    try:
        publication = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        logger.warning("Redis brought something that is no publication: %s", error)
        return None
    if publication.full_name != full_name:
        logger.warning("Redis brought a publication by the wrong channel, that of %r.", full_name[:100])
        return None
    return publication.at(position)


def _may_have_expired(since: Position, now: int) -> bool:
    """Tell whether a stream that ended after a moment may be gone with its name."""
    return since.is_moment and since.ms <= now - KNOWN_MS


def _pairs(items: Sequence[bytes]) -> zip[tuple[bytes, bytes]]:
    return zip(items[::2], items[1::2], strict=True)
