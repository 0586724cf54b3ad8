"""Settings of the push servers and of the process that publishes."""

from __future__ import annotations

import os

SECRET_KEY = "the key of the benchmarks, which guards nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_jugpush", "benchmarks.stampede"]
USE_TZ = True

JUGPUSH = {
    "BROKER": os.environ["STAMPEDE_REDIS"],
    "REFRESH_RATE": int(os.environ["STAMPEDE_RATE"]),
    "MAX_CONNECTIONS_PER_ADDRESS": None,
}
