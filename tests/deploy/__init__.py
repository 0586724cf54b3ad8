"""The recipes of ``docs/howto/deploy``, run: nginx, gunicorn, Redis and ``manage.py juggernaut``."""

from __future__ import annotations
