"""The channels are open to everybody, for it is not rights that are tested here."""

from __future__ import annotations

import django_jugpush as push

from .channels import KINDS

for name in KINDS:
    push.channel(f"{name}:<int:number>", public=True)
