"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class PastebinConfig(AppConfig):
    """Pastes and their replies."""

    name = "testproject.pastebin"
