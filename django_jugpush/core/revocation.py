"""
What a push server knows of ended logins and changed rights.

:class:`Revocations` takes the messages of the control channel, from the past as from this moment, and says of a grant
what it is still worth. There is no I/O here, and time is an argument.

A grant that was decided after a change is not concerned by it. Clocks of several machines tell that within
:data:`MARGIN`; below it, only the id of the message does, which a grant names if it was decided by somebody who had
heard of it. Messages have one order, so who has heard of one comes after all before it.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from .control import CONTROL_HISTORY, ControlMessage
from .grants import Grant

__all__ = ["KEPT", "MARGIN", "Revocations", "Verdict"]

KEPT = CONTROL_HISTORY[1]
"""Seconds for which a message counts: no token is older."""

MARGIN = 5.0
"""Seconds by which the clocks of two machines may differ before a grant seems newer than a change that it is not."""

LONGEST_TRANSACTION = 3600.0
"""Seconds that may pass between a message's making and its commit. A repeated old one must not count as new."""

FRESH = 60.0
"""Seconds for which a message to disconnect somebody is obeyed: it is no state, so an old one means nothing."""


class Verdict(enum.Enum):
    """What a grant is worth."""

    FINE = enum.auto()

    ASK = enum.auto()
    """The project must be asked whether the user still has the right."""

    RENDER = enum.auto()
    """Only a page that is rendered again can show that the login still exists."""

    ENDED = enum.auto()
    """Nothing makes it good again."""


class _Change(NamedTuple):
    at: float
    number: int

    def concerns(self, issued: float, after: int) -> bool:
        return self.number > after and issued <= self.at + MARGIN

    def beside(self, known: _Change | None) -> _Change:
        """Return what both come to: one that was sent again may be older than what is known."""
        return self if known is None else _Change(max(self.at, known.at), self.number)


_Key = tuple[str | None, ...]


class Revocations:
    """The messages of the last :data:`KEPT` seconds, by whom they concern."""

    def __init__(self) -> None:
        self.known_since = 0.0
        """Of what was before, nothing is known: a grant from before must be given anew."""
        self.newest = ""
        """The id of the newest message that a grant can name. One about a fingerprint needs no name."""
        self._numbers: dict[str, int] = {}
        self._times: dict[str, float] = {}
        self._count = 0
        self._ended_logins: dict[str | None, tuple[_Change, bool]] = {}
        self._ended_users: dict[_Key, _Change] = {}
        self._logins: dict[str, _Change] = {}
        self._fingerprints: dict[_Key, tuple[_Change, tuple[str, ...], float]] = {}
        self._changes: dict[_Key, _Change] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def forget_before(self, moment: float) -> None:
        """Take note that messages from before ``moment`` may be missing."""
        self.known_since = max(self.known_since, moment)

    def apply(self, message: ControlMessage, *, now: float, published: float = 0.0) -> bool:
        """
        Take a message; return whether anything is to be done about it: not if it came before, or is too old.

        It was made within a transaction, during which others saw what was before. So what counts is when it was
        ``published``, by the broker's clock.
        """
        if message.id in self._numbers or now - message.at > KEPT:
            return False
        self._count += 1
        self._numbers[message.id] = self._count
        at = max(message.at, min(published, message.at + LONGEST_TRANSACTION))
        self._times[message.id] = at = min(at, now + MARGIN)  # a clock that is far ahead must not block anybody
        change = _Change(at, self._count)
        if message.kind == "disconnect":
            return now - at <= FRESH
        if message.kind == "revoke":
            self._revoke(message, change)
        else:
            self._reauthorize(message, change)
        return True

    def verdict(self, grant: Grant) -> Verdict:
        """Say what a grant is worth."""
        if grant.is_public:
            return Verdict.FINE
        issued = grant.issued or 0.0
        after = max((self._numbers.get(id, 0) for id in grant.after), default=0)
        if self._has_ended(grant, issued, after):
            return Verdict.ENDED
        if self._needs_page(grant, issued, after):
            return Verdict.RENDER
        is_unknown = issued < self.known_since
        return Verdict.ASK if is_unknown or self._needs_answer(grant, issued, after) else Verdict.FINE

    def prune(self, now: float) -> None:
        """Forget messages that no token can be older than."""
        oldest = now - KEPT
        for id in [id for id, at in self._times.items() if at < oldest]:
            del self._times[id], self._numbers[id]
        self._ended_logins = {login: entry for login, entry in self._ended_logins.items() if entry[0].at >= oldest}
        self._ended_users = {key: change for key, change in self._ended_users.items() if change.at >= oldest}
        self._logins = {login: change for login, change in self._logins.items() if change.at >= oldest}
        self._fingerprints = {key: entry for key, entry in self._fingerprints.items() if entry[0].at >= oldest}
        self._changes = {key: change for key, change in self._changes.items() if change.at >= oldest}

    def _revoke(self, message: ControlMessage, change: _Change) -> None:
        if message.login is not None:
            before, was_final = self._ended_logins.get(message.login, (None, False))
            self._ended_logins[message.login] = change.beside(before), message.is_final or was_final
            return
        for user in message.users:
            key = message.namespace, user
            self._ended_users[key] = change.beside(self._ended_users.get(key))

    def _reauthorize(self, message: ControlMessage, change: _Change) -> None:
        if message.login is not None:
            self._logins[message.login] = change.beside(self._logins.get(message.login))
        elif message.fingerprints is not None:
            for user in message.users:
                self._take_fingerprints((message.namespace, user), message, change)
            return
        else:
            users: tuple[str | None, ...] = message.users or (None,)
            for whose in users:
                key = message.namespace, whose, message.channel
                self._changes[key] = change.beside(self._changes.get(key))
        self.newest = message.id

    def _take_fingerprints(self, key: _Key, message: ControlMessage, change: _Change) -> None:
        assert message.fingerprints is not None
        known = self._fingerprints.get(key)
        if known is None or known[2] <= message.at:  # who waits for the row makes the later message
            self._fingerprints[key] = change, message.fingerprints, message.at

    def _has_ended(self, grant: Grant, issued: float, after: int) -> bool:
        change, is_final = self._ended_logins.get(grant.login, (None, False))
        if change is not None and (is_final or change.concerns(issued, after)):
            return True
        ended = self._ended_users.get((grant.namespace, grant.user))
        return ended is not None and ended.concerns(issued, after)

    def _needs_page(self, grant: Grant, issued: float, after: int) -> bool:
        if grant.login is not None:
            if issued < self.known_since:
                return True
            change = self._logins.get(grant.login)
            if change is not None and change.concerns(issued, after):
                return True
        changed = self._fingerprints.get((grant.namespace, grant.user))
        return changed is not None and grant.fingerprint not in changed[1] and changed[0].concerns(issued, after)

    def _needs_answer(self, grant: Grant, issued: float, after: int) -> bool:
        namespace, user, channel = grant.namespace, grant.user, grant.channel
        keys: set[_Key] = {
            (namespace, user, None),
            (namespace, user, channel),
            (namespace, None, channel),
            (namespace, None, None),
        }
        return any(key in self._changes and self._changes[key].concerns(issued, after) for key in keys)
