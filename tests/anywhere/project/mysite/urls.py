from __future__ import annotations

from django.urls import path
from shop import async_views, views

urlpatterns = [
    path("orders/<int:pk>/ship/", views.ship),
    path("orders/<int:pk>/async-ship/", async_views.ship),
]
