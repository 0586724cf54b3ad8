"""Push notifications for Django: save a model, and every browser that may see it knows."""

from __future__ import annotations

from importlib.metadata import version

from .access.issuing import connection_token, session_channel, subscription_token
from .access.revocation import disconnect, reauthorize, revoke
from .declarations import Channel, channel
from .publishing.bindings import ModelPush
from .publishing.causes import caused_by, client_id
from .publishing.publisher import apublish, publish, publish_changes
from .publishing.registry import register
from .publishing.suppression import suppress_publishing
from .targets import channel_name, user_channel

__all__ = [
    "Channel",
    "ModelPush",
    "__version__",
    "apublish",
    "caused_by",
    "channel",
    "channel_name",
    "client_id",
    "connection_token",
    "disconnect",
    "publish",
    "publish_changes",
    "reauthorize",
    "register",
    "revoke",
    "session_channel",
    "subscription_token",
    "suppress_publishing",
    "user_channel",
]

__version__ = version("django-jugpush")
