"""The pastebin in production: what ``docs/howto/deploy/settings.py`` says, with the places of this machine."""

from __future__ import annotations

import os

from tests.e2e.settings import *  # noqa: F403
from tests.papers import DOCS

exec((DOCS / "howto" / "deploy" / "settings.py").read_text(encoding="utf-8"))

ALLOWED_HOSTS = ["127.0.0.1"]
STATIC_ROOT = os.environ["STATIC_ROOT"]
JUGPUSH = globals()["JUGPUSH"] | {"SERVER_URL": os.environ["SERVER_URL"]}
