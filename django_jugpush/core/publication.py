"""One item published to one channel: the value that travels from the publisher over the broker to the hub."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .channels import full_name
from .positions import Position

__all__ = ["Publication", "StaleReason"]

StaleReason = Literal["gap", "storm", "size"]
"""Why what a client has is not complete: publications were missed, too many changed at once, or one was too big."""

# What a publisher has declared is checked again where it arrives.
_Length = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Rate = Annotated[float, msgspec.Meta(ge=1e-9, le=1e9)]


class Publication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A publication. ``data`` is JSON text, so nothing between the publisher and the browser parses it again."""

    id: str
    """Chosen by the publisher; the same for every channel of one ``publish()``."""

    channel: str

    namespace: str = ""
    """The publisher's: of two projects, sites or tenants that know the same channel, only one is meant."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    """JSON in UTF-8, without line breaks between tokens."""

    exclude: tuple[str, ...] = ()
    """The ids of clients that must not get it: usually the one that caused it."""

    stale: StaleReason | None = None
    """Set instead of ``data``: tells clients that what they have is no longer complete."""

    version: int | None = None
    """Microseconds since 1970 just before the row was read: of two publications of a row, the higher one is right."""

    history: tuple[_Length, _Seconds] | None = None
    """How many publications are kept of the channel, and how many seconds after the newest; None: the default."""

    last: bool = False
    """Whether the newest of the channel is kept without end, for each new subscriber; ``null`` takes it away."""

    max_rate: _Rate | None = None
    """How many of the channel a client gets a second at most; of those that are too many the newest counts."""

    position: Position | None = None
    """Given by the broker; None of what never was in a stream."""

    @property
    def full_name(self) -> str:
        """The channel as the push server knows it."""
        return full_name(self.namespace, self.channel)

    @property
    def is_paced(self) -> bool:
        """Whether it may be left out when another one follows soon."""
        return self.max_rate is not None and self.position is not None and not self.stale

    @property
    def is_kept_as_last(self) -> bool:
        """Whether each new subscriber is given it, as long as it is the newest."""
        return self.last and not self.stale and bytes(self.data) != b"null"

    def at(self, position: Position) -> Publication:
        """Return the publication as it stands in a stream."""
        return msgspec.structs.replace(self, position=position)
