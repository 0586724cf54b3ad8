"""What the tests' models publish."""

from __future__ import annotations

import django_jugpush as push

from .models import Customer, Export, Order, Place


@push.register(Order)
class OrderPush(push.ModelPush[Order]):
    fields = ["status", "total", "customer"]
    select_related = ["customer", "owner"]

    def channels(self, order):
        return [order, "orders", order.customer, order.owner]


@push.register(Customer)
class CustomerPush(push.ModelPush[Customer]):
    pass


@push.register(Place)
class PlacePush(push.ModelPush[Place]):
    fields = ["name"]


@push.register(Export)
class ExportPush(push.ModelPush[Export]):
    fields = ["finished", "took", "file", "options"]
