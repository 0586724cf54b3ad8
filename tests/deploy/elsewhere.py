"""The settings of a site that has another namespace than the push server that it meets."""

from __future__ import annotations

from .settings import *  # noqa: F403
from .settings import JUGPUSH

JUGPUSH = JUGPUSH | {"NAMESPACE": "elsewhere"}
