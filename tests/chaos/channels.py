"""The channels of these tests: what each kind of them promises."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHANNELS", "KINDS", "Kind", "kind_of"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The options of a channel's publications."""

    history: tuple[int, float] = (50_000, 3600)
    """It outlasts what happens, unless it says otherwise."""

    last: bool = False
    max_rate: float | None = None

    excludes: bool = True
    """Whether some publications exclude some clients."""

    padding: int = 0
    """Bytes that are added, for Redis keeps more than it is asked to of what is short."""


KINDS = {
    "plain": Kind(),
    "short": Kind(history=(2, 3600), padding=4000),
    "paced": Kind(max_rate=1),
    "last": Kind(last=True, excludes=False),
}

CHANNELS = [f"{name}:{number}" for number in range(5) for name in KINDS]


def kind_of(channel: str) -> Kind:
    """Return the kind of a channel, which its name begins with."""
    return KINDS[channel.partition(":")[0]]
