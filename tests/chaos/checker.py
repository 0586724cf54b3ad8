"""
Holds what clients were told against what was published.

Each channel's publications are numbered 1, 2, 3 … by one publisher. A client must get each of them once and in order,
or be told that something is missing just where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["STALE", "Faults", "check"]

STALE = "stale"
"""In a client's record: it was told that what it has is not complete. Everything else there is a number."""


@dataclass(slots=True)
class Faults:
    """What is wrong with a record. Each fault is a sentence."""

    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    swapped: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    """Told of a gap where nothing can be missing, or given what was never published."""

    def __bool__(self) -> bool:
        return any((self.missing, self.doubled, self.swapped, self.untrue))

    def add(self, other: Faults) -> None:
        self.missing += other.missing
        self.doubled += other.doubled
        self.swapped += other.swapped
        self.untrue += other.untrue

    def __str__(self) -> str:
        return "\n".join(
            f"{len(sentences)} {kind}: {'; '.join(sentences[:5])}"
            for kind, sentences in (
                ("missing", self.missing),
                ("doubled", self.doubled),
                ("swapped", self.swapped),
                ("untrue", self.untrue),
            )
            if sentences
        )


def check(
    record: Sequence[int | str],
    *,
    certain: Iterable[int],
    uncertain: Iterable[int] = (),
    losses: int = 0,
    who: str = "",
) -> Faults:
    """
    Return what is wrong with a client's record of a channel.

    Args:
        record: What it got, in order: numbers, and :data:`STALE`.
        certain: What was published for certain.
        uncertain: What may have been: its publisher got no answer.
        losses: How often the broker lost what it had; so often a client may be told so.
        who: Stands in the sentences.
    """
    faults = Faults()
    must, may = set(certain), set(uncertain)
    got: set[int] = set()
    newest, gap = 0, False
    for entry in record:
        if isinstance(entry, str):
            gap = True
            continue
        if entry not in must | may:
            faults.untrue.append(f"{who} got {entry}, which was never published")
        elif entry in got:
            faults.doubled.append(f"{who} got {entry} twice")
        elif entry < newest:
            faults.swapped.append(f"{who} got {entry} after {newest}")
        else:
            _check_step(faults, newest, entry, must, gap, who)
            newest, gap = entry, False
        got.add(entry)
    if must:
        _check_step(faults, newest, max(must) + 1, must, gap, who)
    if (told := sum(isinstance(entry, str) for entry in record)) > losses:
        faults.untrue.append(f"{who} was told {told} times of a gap, and {losses} times something was lost")
    return faults


def _check_step(faults: Faults, before: int, after: int, must: set[int], gap: bool, who: str) -> None:
    if not gap and (between := sorted(must.intersection(range(before + 1, after)))):
        faults.missing.append(f"{who} did not get {between[0]} to {between[-1]}, between {before} and {after}")
