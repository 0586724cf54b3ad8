from __future__ import annotations

import django_jugpush as push
from shop.models import Order


@push.register(Order)
class OrderPush(push.ModelPush[Order]):
    fields = ["status"]

    def channels(self, order):
        return ["orders"]


push.channel("orders", public=True)
push.channel("banner", public=True)
