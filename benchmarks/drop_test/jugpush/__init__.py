"""A project that uses django-jugpush: its settings, its only channel, and what publishes to it."""

from __future__ import annotations
