"""Settings of the push server and of the process that publishes."""

from __future__ import annotations

import os

SECRET_KEY = "the key of the benchmarks, which guards nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_jugpush", "benchmarks.drop_test.jugpush"]
USE_TZ = True

JUGPUSH = {
    "BROKER": os.environ["DROP_TEST_REDIS"] or None,
    "SERVER_URL": os.environ["DROP_TEST_SERVER"],
    "HISTORY": (2000, 300),  # more than any client of the test can miss
}
