"""A site that is as plain as can be. Tests say in the environment what is different."""

from __future__ import annotations

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SITE_SECRET_KEY", "the key of a site in a test, which guards nothing")
DEBUG = True
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django_jugpush",
    *os.environ.get("SITE_APPS", "").split(),
    "django.contrib.staticfiles",
    "shop",
]
JUGPUSH = json.loads(os.environ.get("SITE_JUGPUSH", "{}"))
LOGGING = json.loads(os.environ.get("SITE_LOGGING", "{}"))

ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
