"""
A word in the log when browsers look for the push server and find Django.

That happens under a server that carries no push, such as ``runserver_plus``, and behind a proxy that was not told of
the mount point. The browser sees a 404 and tries again; the developer would see nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.core.signals import request_started

from .conf import get_config

__all__ = ["connect"]

logger = logging.getLogger(__name__)

_DISPATCH_UID = "django_jugpush.misrouted"


def connect() -> None:
    """Watch for such a request; the first one is the last that is spoken of."""
    request_started.connect(_look, dispatch_uid=_DISPATCH_UID)


def _look(
    *, environ: Mapping[str, Any] | None = None, scope: Mapping[str, Any] | None = None, **kwargs: object
) -> None:
    path = (environ or {}).get("PATH_INFO") or (scope or {}).get("path") or ""
    mount = get_config().mount_path
    if mount != "/" and path.startswith(mount):
        request_started.disconnect(dispatch_uid=_DISPATCH_UID)
        logger.warning(
            "A browser looks for the push server at %s, but this server carries no push. `manage.py runserver` does; "
            "an ASGI server does with django_jugpush.asgi.push_application(); a proxy must send %s to "
            "`manage.py juggernaut`.",
            mount,
            mount,
        )
