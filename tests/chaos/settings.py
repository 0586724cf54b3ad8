"""Settings of the push servers of these tests."""

from __future__ import annotations

import os

SECRET_KEY = "chaos"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_jugpush", "tests.chaos"]
JUGPUSH = {
    "BROKER": os.environ["CHAOS_BROKER"] or None,
    "NAMESPACE": "chaos",
    "REFRESH_RATE": 10_000,
}
LOGGING = {
    "version": 1,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
