"""Settings of the tests that are run on PostgreSQL too, in a process of their own."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403

DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": alias,
        "USER": "tests",
        "HOST": os.environ["POSTGRESQL_SOCKET"],
    }
    for alias in ("default", "other")
}
