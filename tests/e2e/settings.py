"""The pastebin with a database and a few pages of its own, behind a strict Content-Security-Policy."""

from __future__ import annotations

import os

from testproject.settings import *  # noqa: F403
from testproject.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [*INSTALLED_APPS, "tests.e2e"]
ROOT_URLCONF = "tests.e2e.urls"

DATABASES["default"]["NAME"] = os.environ["PASTEBIN_DATABASE"]
# The key tells the servers of one machine apart, so a demo that runs here hears nothing of the tests.
SECRET_KEY = f"end-to-end {os.environ['PASTEBIN_DATABASE']}"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MIDDLEWARE = ["tests.e2e.settings.content_security_policy", *MIDDLEWARE]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def content_security_policy(get_response):
    def middleware(request):
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return middleware
