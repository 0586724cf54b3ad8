"""A channel that soon forgets."""

from __future__ import annotations

import django_jugpush as push

push.channel("ticker", public=True, history=(1, 300))
