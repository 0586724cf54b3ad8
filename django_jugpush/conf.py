"""The one reader of settings: ``JUGPUSH`` becomes a frozen :class:`Config`, once, and again on ``setting_changed``."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

__all__ = ["Config", "derived_keys", "get_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """``settings.JUGPUSH`` with every default filled in. The keys are documented in ``docs/reference/settings.rst``."""

    BROKER: str | None = None
    """URL of the broker; its scheme picks the backend. None: the push server's own memory, reached by HTTP."""

    PUBLIC_URL: str = "/juggernaut/"
    """Where browsers reach the push server: a path on the site's own origin, or a whole URL. Ends with a slash."""

    SERVER_URL: str | None = None
    """Where Django reaches the push server when there is no Redis. None: found by itself."""

    NAMESPACE: str = "jugpush"
    """Names this project among those that share keys or a Redis."""

    USER_CHANNEL: str | None = None
    """Dotted path of a callable that takes a user and returns the part of the name that follows ``user:``."""

    ALLOWED_ORIGINS: tuple[str, ...] = ()
    """Origins that may connect, beside those that ``ALLOWED_HOSTS`` and ``CSRF_TRUSTED_ORIGINS`` allow."""

    PUBLISH_FROM: tuple[str, ...] = ()
    """Networks, beside the loopback, from which the publish endpoint takes signed publications."""

    MAX_MESSAGE_SIZE: int = 65_536
    """Bytes of an encoded publication."""

    MAX_SUBSCRIPTIONS: int = 100
    """Channels that one connection may be subscribed to."""

    MAX_PENDING: int = 1_048_576
    """Bytes that may wait for a client that reads slowly."""

    PING_INTERVAL: float = 25.0
    """Seconds between heartbeats."""


@functools.cache
def get_config() -> Config:
    """
    Return the project's configuration.

    Raises:
        ImproperlyConfigured: If ``JUGPUSH`` is not a dict, has an unknown key, or a value that cannot be meant.
    """
    return read_config(getattr(settings, "JUGPUSH", {}))
