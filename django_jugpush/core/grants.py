"""The right to listen to one channel, as verified from a token: the value that the access half hands to the server."""

from __future__ import annotations

from dataclasses import dataclass

from .channels import full_name

__all__ = ["Grant"]


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

    history_from: float | None = None
    """The earliest time (seconds since 1970) whose publications may be read."""

    expires: float | None = None
    """Seconds since 1970; None for a public channel."""

    @property
    def full_name(self) -> str:
        """The channel as the push server knows it."""
        return full_name(self.namespace, self.channel)
