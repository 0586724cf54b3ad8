"""The site of ``docs/howto/publish.rst``, which has the rest of its files."""

from __future__ import annotations

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "the key of a site in a test, which guards nothing"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_jugpush", "django.contrib.staticfiles", "shop"]
JUGPUSH = {"BROKER": os.environ.get("PUSH_BROKER")}

ROOT_URLCONF = "mysite.urls"
STATIC_URL = "/static/"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django_jugpush": {"handlers": ["stderr"], "level": "WARNING"}},
}

CELERY_BROKER_URL = os.environ.get("SITE_CELERY")
CELERY_TASK_ALWAYS_EAGER = "SITE_CELERY" not in os.environ
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if "SITE_QUEUE" in os.environ:
    folders = ("data_folder_in", "data_folder_out", "control_folder")
    CELERY_BROKER_TRANSPORT_OPTIONS = dict.fromkeys(folders, os.environ["SITE_QUEUE"])
