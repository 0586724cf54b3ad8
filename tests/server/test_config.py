"""What can be chosen."""

from __future__ import annotations

import pytest

from django_jugpush.conf import Config
from django_jugpush.server.config import ServerConfig


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("max_message_size", "MAX_MESSAGE_SIZE"),
        ("max_subscriptions", "MAX_SUBSCRIPTIONS"),
        ("max_channels", "MAX_CHANNELS"),
        ("max_connections", "MAX_CONNECTIONS"),
        ("max_connections_per_address", "MAX_CONNECTIONS_PER_ADDRESS"),
        ("max_connections_per_user", "MAX_CONNECTIONS_PER_USER"),
        ("max_pending", "MAX_PENDING"),
        ("ping_interval", "PING_INTERVAL"),
        ("path", "PUBLIC_URL"),
    ],
)
def test_defaults_are_those_of_the_settings(option, key):
    """A server by itself behaves like one that Django set up."""
    assert getattr(ServerConfig(), option) == getattr(Config(), key)
