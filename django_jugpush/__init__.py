"""Push notifications for Django: save a model, and every browser that may see it knows."""

from __future__ import annotations

from importlib.metadata import version

from .access.channels import Channel, channel
from .targets import channel_name, user_channel

__all__ = [
    "Channel",
    "__version__",
    "channel",
    "channel_name",
    "user_channel",
]

__version__ = version("django-jugpush")
