"""Signals that a project can listen to."""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["publish_failed"]

publish_failed = Signal()
"""
Sent when a batch could not be handed to the broker.

Arguments: ``sender`` (the broker's class), ``publications`` (a tuple of
:class:`~django_jugpush.core.publication.Publication`) and ``error`` (the exception).
"""
