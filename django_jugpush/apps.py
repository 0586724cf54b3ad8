"""Django's view of the package: where, at start, the halves are put in place."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["JugpushConfig"]


class JugpushConfig(AppConfig):
    """Finds each app's ``push.py``, as the admin finds ``admin.py``."""

    name = "django_jugpush"
    verbose_name = "Push"
