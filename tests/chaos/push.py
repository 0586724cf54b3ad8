"""The channels of these tests: open to everybody, for it is not rights that are tested here."""

from __future__ import annotations

import django_jugpush as push

push.channel("chaos:<int:number>", public=True)
