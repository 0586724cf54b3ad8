"""Who may listen."""

from __future__ import annotations

import django_jugpush as push

push.channel("news", public=True)
