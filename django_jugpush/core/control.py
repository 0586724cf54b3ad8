"""What Django processes tell push servers about logins and rights: the messages of the channel ``jugpush:control``."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["CONTROL_CHANNEL", "CONTROL_HISTORY", "MAX_USERS", "ControlMessage", "Kind"]

CONTROL_CHANNEL = "jugpush:control"
"""Its namespace is the setting's: there is one for all tenants."""

CONTROL_HISTORY = (10_000, 13 * 60 * 60.0)
"""How many messages are kept, and how many seconds: an hour longer than a token lives."""

MAX_USERS = 500
"""How many users one message names at most."""

Kind = Literal["revoke", "reauthorize", "disconnect"]
"""``revoke`` is final. ``reauthorize`` has whoever it concerns asked again. ``disconnect`` lets them come back."""


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One message. Whom it concerns: of the ``namespace``, those who fit all that is given.

    A ``login`` is nobody else's, so it goes without a namespace.
    """

    id: str
    """Chosen at random. A token that names it was made by somebody who had heard of it, so after it."""

    at: float
    """When it was sent: seconds since 1970."""

    kind: Kind

    namespace: str

    users: tuple[str, ...] = ()
    """Primary keys as text. With ``login``, its owner, if there is one."""

    login: str | None = None

    is_final: bool = False
    """Of a revoked login: whether its id is never given again, so that it does not matter when a grant was issued."""

    channel: str | None = None

    fingerprints: tuple[str, ...] | None = None
    """The one user's from here on, by each key that is in use: who has one of them need not be asked."""

    @property
    def is_for_everyone(self) -> bool:
        """Whether it concerns all who are in the namespace."""
        return not self.users and self.login is None and self.channel is None
