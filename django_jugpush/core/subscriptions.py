"""What one client is subscribed to, what it has asked for, and whose client it is by that."""

from __future__ import annotations

import math
from dataclasses import replace

from .codes import ErrorCode
from .commands import Subscribe
from .grants import Grant

__all__ = ["Subscriptions"]


class Subscriptions:
    """
    The subscriptions of one client: *pending* until they are settled, then held by a grant until they end.

    Args:
        limit: How many there may be, the pending ones included.
    """

    __slots__ = ("_identity", "_limit", "_pending", "_renew_at", "_requests", "grants")

    def __init__(self, limit: int) -> None:
        self.grants: dict[str, Grant] = {}
        """What each running subscription rests on, by channel."""
        self._limit = limit
        self._pending: dict[int, Subscribe] = {}
        self._requests = 0
        self._identity: tuple[str | None, str | None, str] | None = None
        self._renew_at = math.inf

    # Whose client it is

    @property
    def user(self) -> str | None:
        """The verified user's primary key as text."""
        return self._identity[0] if self._identity else None

    @property
    def namespace(self) -> str:
        """The namespace of the user, or else of a subscription; empty if there is neither."""
        if self._identity:
            return self._identity[2]
        return next((grant.namespace for grant in self.grants.values()), "")

    def admit(self, grant: Grant) -> bool:
        """
        Tell whether a grant may join the others.

        The first that belongs to a login fixes whose client this is; from then on those of others may not.
        """
        if (grant.user, grant.login) == (None, None):
            return True
        identity = (grant.user, grant.login, grant.namespace)
        if self._identity is None:
            self._identity = identity
        return self._identity == identity

    # Pending

    @property
    def is_waiting(self) -> bool:
        """Whether one of them is pending."""
        return bool(self._pending)

    def obstacle(self, channel: str) -> ErrorCode | None:
        """Return why a channel cannot be asked for; None if it can."""
        if channel in self.grants or any(command.channel == channel for command in self._pending.values()):
            return ErrorCode.ALREADY_SUBSCRIBED
        if len(self.grants) + len(self._pending) >= self._limit:
            return ErrorCode.LIMIT_EXCEEDED
        return None

    def ask(self, command: Subscribe) -> int:
        """Let a subscription be pending; return the number of the request."""
        self._requests += 1
        self._pending[self._requests] = command
        return self._requests

    def is_pending(self, request: int) -> bool:
        """Tell whether a request has been neither settled nor withdrawn."""
        return request in self._pending

    def settle(self, request: int) -> Subscribe | None:
        """Let a subscription be pending no more; return what the client said. None if it is not."""
        return self._pending.pop(request, None)

    def withdraw(self, channel: str) -> int | None:
        """Let a channel be asked for no more; return the request that did. None if nobody does."""
        for request, command in self._pending.items():
            if command.channel == channel:
                del self._pending[request]
                return request
        return None

    # Running

    def hold(self, grant: Grant) -> None:
        """Let a subscription run on a grant: the first, or another one."""
        self.grants[grant.channel] = grant
        if grant.renew_at is not None:
            self._renew_at = min(self._renew_at, grant.renew_at)

    def due(self, now: float) -> list[Grant]:
        """Return the grants whose time to be renewed has come; each once, until another takes its place."""
        if now < self._renew_at:
            return []
        due = [grant for grant in self.grants.values() if grant.renew_at is not None and grant.renew_at <= now]
        for grant in due:
            self.grants[grant.channel] = replace(grant, renew_at=None)
        times = (grant.renew_at for grant in self.grants.values() if grant.renew_at is not None)
        self._renew_at = min(times, default=math.inf)
        return [self.grants[grant.channel] for grant in due]

    def end(self) -> None:
        """Let go of all of them."""
        self.grants.clear()
        self._pending.clear()
