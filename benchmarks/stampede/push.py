"""Who may listen: each page has a channel of its own."""

from __future__ import annotations

import django_jugpush as push

push.channel("page:<int:number>", public=True)
