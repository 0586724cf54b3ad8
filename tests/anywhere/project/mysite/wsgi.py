"""Publishes before gunicorn forks, so that there is a connection that might be shared by mistake."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

import django_jugpush as push

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

application = get_wsgi_application()
push.publish("banner", {"before": "the fork"})
