"""
From when on a page is to be told what is published.

What a view reads is not older than its request. So whatever was published before the request began is in the page, and
the page's subscriptions are told the rest, however long it takes the browser to ask for them.

The time is noted where the request itself is kept, and not in a context of the moment: a page may be rendered by
another thread or task than the one that took its request, and long after it, as a stream is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import Any

from django.core.signals import request_started
from django.http import HttpRequest

from django_jugpush.core.positions import Position

__all__ = ["KEY", "MARGIN", "connect_receivers", "moment_of", "started_at"]

KEY = "jugpush.started"
"""Where a request's time stands in its WSGI environment or ASGI scope: seconds since 1970."""

MARGIN = 1.0
"""Seconds that a page is told again before its request began: two clocks differ, and a replica lags behind."""


def connect_receivers(broker_skew: Callable[[], float]) -> None:
    """Note when each request begins; ``broker_skew`` says how many seconds the broker's clock is ahead."""
    global _broker_skew
    _broker_skew = broker_skew
    request_started.connect(_note_time, dispatch_uid="django_jugpush.access.moments")


def moment_of(request: HttpRequest) -> Position:
    """Return the moment, by the broker's clock, from which on a page is told what is published."""
    return Position.moment(int((started_at(request) - MARGIN + _broker_skew()) * 1000))


def started_at(request: HttpRequest) -> float:
    """Return when a request began, in seconds since 1970."""
    started: float = request.META.get(KEY) or getattr(request, "scope", {}).get(KEY) or time.time()
    return started


def _broker_skew() -> float:
    return 0.0


def _note_time(
    *, environ: MutableMapping[str, Any] | None = None, scope: MutableMapping[str, Any] | None = None, **kwargs: Any
) -> None:
    for request in (environ, scope):
        if request is not None:
            request[KEY] = time.time()
