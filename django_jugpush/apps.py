"""Django's view of the package: where, at start, the halves are put in place."""

from __future__ import annotations

import functools

from django.apps import AppConfig

__all__ = ["JugpushConfig"]


class JugpushConfig(AppConfig):
    """Finds each app's ``push.py``, as the admin finds ``admin.py``, and listens to what it registers."""

    name = "django_jugpush"
    verbose_name = "Push"

    def ready(self) -> None:
        """Run when all models are known."""
        # Here, since an AppConfig is imported before there may be models.
        from . import checks, discovery, misrouted  # noqa: F401 - the checks register themselves
        from .access import moments, receivers, revocation, unsent
        from .publishing import batch, delivery, registry
        from .publishing import receivers as publishing

        registry.connect()
        # A message about a right leaves in the batch of what is published in the same transaction.
        revocation.connect(lambda messages, using: batch.add([tuple(messages)], using))
        publishing.tell_rights_by(revocation.reauthorize_targets)
        unsent.connect(functools.partial(delivery.hand_over, raise_on_error=True))
        receivers.connect()
        moments.connect_receivers(delivery.broker_skew)
        discovery.autodiscover()
        misrouted.connect()
