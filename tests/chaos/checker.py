"""
Holds what clients were told against what was published.

Each channel's publications are numbered 1, 2, 3 … by one publisher. A client must get each of them once and in order,
or be told that something is missing just where it is. A channel's options change what that means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

__all__ = ["STALE", "Faults", "Newest", "check", "check_pace"]

STALE = "stale"
"""In a client's record: it was told that what it has is not complete."""


@dataclass(frozen=True, slots=True)
class Newest:
    """In a client's record: it was subscribed, and for longer than that the channel's newest had been this number."""

    number: int


Entry = int | str | Newest
"""Of a client's record: a number that it got, :data:`STALE`, or :class:`Newest`."""


@dataclass(slots=True)
class Faults:
    """What is wrong with a record. Each fault is a sentence."""

    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    swapped: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    """Told of a gap where nothing can be missing, or given what was never published."""

    intruding: list[str] = field(default_factory=list)
    """Given what excludes the client."""

    hasty: list[str] = field(default_factory=list)
    """More in a short time than the channel's ``max_rate`` allows."""

    def __bool__(self) -> bool:
        return any(getattr(self, kind.name) for kind in fields(self))

    def add(self, other: Faults) -> None:
        for kind in fields(self):
            getattr(self, kind.name).extend(getattr(other, kind.name))

    def __str__(self) -> str:
        return "\n".join(
            f"{len(sentences)} {kind.name}: {'; '.join(sentences[:5])}"
            for kind in fields(self)
            if (sentences := getattr(self, kind.name))
        )


def check(
    record: Sequence[Entry],
    *,
    certain: Iterable[int],
    uncertain: Iterable[int] = (),
    excluded: Iterable[int] = (),
    after: int = 0,
    is_over: bool = False,
    is_paced: bool = False,
    history: int | None = None,
    losses: int = 0,
    who: str = "",
) -> Faults:
    """
    Return what is wrong with a client's record of a channel.

    Args:
        record: What it got, in order.
        certain: What was published for certain.
        uncertain: What may have been: its publisher got no answer.
        excluded: What was published, certain or not, but not for this client.
        after: The number since which it must get everything. It may get some of before.
        is_over: Whether it has gone, and may lack what came last.
        is_paced: Whether numbers may be left out, but not the last.
        history: How many the broker keeps; None: all. Whoever misses more of them may be told so.
        losses: How often the broker lost what it had; so often a client may be told so.
        who: Stands in the sentences.
    """
    faults = Faults()
    must, may, not_its = {number for number in certain if number > after}, {*certain, *uncertain}, set(excluded)
    got: set[int] = set()
    newest, gaps, excuses = after, 0, losses

    def step(to: int) -> None:
        """Look at what is left out between what was got last and a number."""
        nonlocal gaps, excuses
        left_out = sorted(must.intersection(range(newest + 1, to)))
        if left_out and not gaps and not is_paced:
            faults.missing.append(f"{who} did not get {left_out[0]} to {left_out[-1]}, between {newest} and {to}")
        if gaps and history is not None:
            # What was on its way when a page was rendered may count as well.
            first = newest + 1 if got else 0
            gaps -= len((may | not_its).intersection(range(first, to))) // (history + 1)
        excuses -= max(0, gaps)
        gaps = 0

    for entry in record:
        if isinstance(entry, Newest):
            if entry.number > max(got, default=0):
                faults.missing.append(f"{who} was not given the newest, {entry.number}, when it was subscribed")
        elif isinstance(entry, str):
            gaps += 1
        elif entry in not_its:
            faults.intruding.append(f"{who} got {entry}, which excludes it")
        elif entry not in may:
            faults.untrue.append(f"{who} got {entry}, which was never published")
        elif entry in got:
            faults.doubled.append(f"{who} got {entry} twice")
        elif got and entry < max(got):
            faults.swapped.append(f"{who} got {entry} after {max(got)}")
        else:
            step(entry)
            newest = max(newest, entry)
            got.add(entry)
    end = max(may | not_its, default=0) + 1
    if must and not is_over:
        if is_paced and not gaps and newest < max(must):
            faults.missing.append(f"{who} did not get {max(must)}, the last; {newest} was")
        step(end)
    elif gaps:
        must.clear()
        step(end)
    if excuses < 0:
        told = sum(entry == STALE for entry in record)
        faults.untrue.append(f"{who} was told {told} times of a gap, {-excuses} of them where there can be none")
    return faults


def check_pace(times: Sequence[float | None], max_rate: float, *, who: str = "") -> Faults:
    """
    Return whether publications came faster than a channel allows.

    Args:
        times: When each of one subscription came, in seconds after it was asked for: it began later than that, and they
            were sent before they came. None is for the word of a gap, which pushes on what waits. One may have waited
            for the subscription, and the word that follows may not have come.
        max_rate: How many a second there may be.
        who: Stands in the sentence.
    """
    number, allowed = 0, 3
    for seconds in times:
        if seconds is None:
            allowed += 1
            continue
        number += 1
        if number > allowed + seconds * max_rate:
            return Faults(hasty=[f"{who} got {number} within {seconds:.2f} s of asking"])
    return Faults()
