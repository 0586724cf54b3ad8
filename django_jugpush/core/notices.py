"""What clients did, as the project is told of it, and as it was told in 2011."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from .values import write_value

__all__ = ["USER_KEY", "Notice", "NoticeKind", "trusted_meta"]

NoticeKind = Literal["subscribe", "unsubscribe", "custom"]
"""The words of 2011: a client follows a channel, does so no longer, or has sent an event."""

USER_KEY = "user_id"
"""Where in ``meta`` the programs of 2011 look for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that a client did."""

    kind: NoticeKind

    client: str
    """The client's id, which is an address that it chose: it proves nothing."""

    user: str | None = None
    """The verified user's primary key as text; None for a client that has presented no token of a user."""

    namespace: str = ""
    """Of the channel, or of the client that sent an event."""

    channel: str | None = None
    """None of an event: events belong to no channel."""

    meta: Any = msgspec.UNSET
    """What the client says of itself, but for :data:`USER_KEY`, which is true; unset if it says nothing."""

    data: Any = msgspec.UNSET
    """What an event carries; unset if nothing."""

    def encode(self) -> bytes:
        """Return the payload that subscribers of ``juggernaut:subscribe`` and its kin know from 2011."""
        payload = {
            "channel": self.channel or msgspec.UNSET,
            "meta": self.meta,
            "session_id": self.client,
            "data": self.data,
        }
        return write_value({key: value for key, value in payload.items() if value is not msgspec.UNSET})


def trusted_meta(meta: Any, user: str | None) -> Any:
    """
    Return ``meta`` with the verified user in it, and with no other.

    Rosters of 2011 take the user from there, and a page can send what it likes.
    """
    if meta is msgspec.UNSET:
        return {USER_KEY: user} if user is not None else meta
    if not isinstance(meta, dict):
        return meta
    said = meta.get(USER_KEY)
    if user is not None and type(said) in (int, str) and str(said) == user:
        return meta
    rest = {key: value for key, value in meta.items() if key != USER_KEY}
    return rest if user is None else {USER_KEY: user} | rest
