"""The pastebin's addresses."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.front, name="front"),
    path("<int:pk>/", views.paste, name="paste"),
    path("<int:pk>/delete/", views.delete, name="delete"),
    path("my-pastes/", views.my_pastes, name="my_pastes"),
    path("login/", views.Login.as_view(), name="login"),
    path("logout/", views.Logout.as_view(), name="logout"),
]
