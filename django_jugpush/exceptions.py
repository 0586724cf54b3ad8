"""
What can go wrong, as a tree.

::

    JugpushError
    ├── InvalidChannel          (also ValueError)
    ├── PayloadTooBig           (also ValueError)
    ├── SubscriptionDenied
    │   ├── InvalidToken
    │   │   └── TokenExpired
    │   └── IdentityMismatch
    └── BrokerError
        └── BrokerUnavailable

Misconfiguration is Django's ``ImproperlyConfigured``, and a system check says it first. A browser never
sees an exception: it sees a code from :mod:`django_jugpush.core.codes`.
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "BrokerUnavailable",
    "IdentityMismatch",
    "InvalidChannel",
    "InvalidToken",
    "JugpushError",
    "PayloadTooBig",
    "SubscriptionDenied",
    "TokenExpired",
]


class JugpushError(Exception):
    """Base of everything that django-jugpush raises. Do not raise directly."""


class InvalidChannel(JugpushError, ValueError):
    """A channel name that breaks the rules of :func:`django_jugpush.core.channels.check_name`."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        return f"{self.name[:100]!r} is not a channel name: {self.why}."


class PayloadTooBig(JugpushError, ValueError):
    """An encoded publication longer than ``MAX_MESSAGE_SIZE`` bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"The publication takes {self.size} bytes; MAX_MESSAGE_SIZE allows {self.limit}."


class SubscriptionDenied(JugpushError):
    """
    A subscription that is refused.

    ``detail`` is for the log, and for the browser's console under ``DEBUG``; otherwise the browser gets one flat code.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class InvalidToken(SubscriptionDenied):
    """A token that is forged, damaged, or made for something else."""


class TokenExpired(InvalidToken):
    """A genuine token whose time is over."""


class IdentityMismatch(SubscriptionDenied):
    """A token of another user or login than the connection already belongs to."""


class BrokerError(JugpushError):
    """The broker could not take a publication."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached, or did not answer in time."""
