from __future__ import annotations

import os

from django.http import HttpResponse
from django.urls import path
from shop.models import Order


def front_page(request):
    return HttpResponse("the front page", headers={"Content-Length": "14"})


def ship(request, pk):
    """Save a row, as any view does."""
    order = Order.objects.get(pk=pk)
    order.status = "shipped"
    order.save()
    return HttpResponse("shipped", headers={"X-Process": os.getpid()})


urlpatterns = [path("", front_page), path("orders/<int:pk>/ship/", ship)]
