"""Which tenant a piece of code runs for; a real project asks its database connection or the request's host."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar

_current = ContextVar("tenant", default="nobody")


def name():
    """Be what ``NAMESPACE`` names."""
    return _current.get()


@contextlib.contextmanager
def tenant(name):
    """Run for a tenant."""
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)
