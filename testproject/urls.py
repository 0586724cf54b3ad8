"""The pastebin's pages. The push server needs no line here: ``runserver`` serves it on its own port."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("testproject.pastebin.urls"))]
