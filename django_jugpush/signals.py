"""Signals that a project can listen to."""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["client_event", "client_subscribed", "client_unsubscribed", "publish_failed"]

publish_failed = Signal()
"""
Sent when a batch could not be handed to the broker.

Arguments: ``sender`` (the broker's class), ``publications`` (a tuple of
:class:`~django_jugpush.core.publication.Publication`) and ``error`` (the exception).
"""

client_subscribed = Signal()
"""
Sent when a client begins to follow a channel, in the push server's process, in a thread that is there for receivers.

Arguments: ``sender`` (the push server's class), ``channel`` (text), ``client`` (the id of the browser's tab, which it
chose itself), ``user_pk`` (the verified user's primary key, or None), ``namespace`` (the tenant, where there are any;
``NAMESPACE`` otherwise) and ``meta`` (what the page says of itself, with the verified user as ``user_id``; else it may
be anything, or None).
"""

client_unsubscribed = Signal()
"""
Sent when a client follows a channel no more, also because it is gone or the push server stops.

Arguments: those of :data:`client_subscribed`.
"""

client_event = Signal()
"""
Sent when a page has sent an event to the project.

Arguments: ``sender``, ``client``, ``user_pk``, ``namespace`` (empty if the client is subscribed to nothing) and
``meta`` as for :data:`client_subscribed`, and ``data`` (what the page sent: any JSON value, from a stranger).
"""
