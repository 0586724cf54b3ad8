"""The right to listen to one channel, as verified from a token: the value that the access half hands to the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .channels import full_name

__all__ = ["Grant", "Question", "Reason"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a subscription rests on."""

    channel: str

    namespace: str = ""
    """Where the channel is: of two tenants with a channel of the same name, the one whose page it was."""

    user: str | None = None
    """The user's primary key as text; None for a visitor who is not signed in."""

    login: str | None = None
    """The id of the login (not of the session) that the grant was given to."""

    fingerprint: str | None = None
    """Changes with the user's password and flags: a grant with another one is out of date."""

    granted_by: str = "public"
    """``page``, ``authorizer`` or ``public``."""

    issued: float | None = None
    """When it was decided that the user may listen: seconds since 1970, as all times here."""

    after: tuple[str, ...] = ()
    """Ids of re-authorizations that are known to have come before that."""

    history_from: float | None = None
    """The earliest time whose publications may be read."""

    expires: float | None = None
    """When the subscription ends unless it is renewed; None for a public channel."""

    renew_at: float | None = field(default=None, compare=False)
    """When that should be tried: at another moment for each grant."""

    renewable_until: float | None = None
    """As a grant of a page. Later, the page must be rendered again."""

    ends: float | None = None
    """When the login itself ends, so that nothing is renewed beyond it."""

    @property
    def full_name(self) -> str:
        """The channel as the push server knows it."""
        return full_name(self.namespace, self.channel)

    @property
    def is_public(self) -> bool:
        """Whether everybody has it."""
        return self.granted_by == "public"


Reason = Literal["connection", "reauthorization", "renewal"]
"""Why somebody must be asked: the token says who, but not that the channel is granted; rights may have changed; or the
subscription is about to expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether somebody may listen, where only the project's database and authorizers can tell."""

    grant: Grant
    """What a token says. It is no right yet, or no longer."""

    reason: Reason
