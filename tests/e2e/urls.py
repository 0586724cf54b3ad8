"""The pastebin, and pages that come out of a cache."""

from __future__ import annotations

from django.http import HttpResponse
from django.template import engines
from django.urls import include, path
from django.views.decorators.cache import cache_page

PAGE = """{% load juggernaut static %}<!doctype html>
<html lang="en">
  <title>Cached</title>
  <link rel="icon" href="{% static 'pastebin/icon.svg' %}" type="image/svg+xml">
  <main id="page">
    <p id="quote">As it was rendered.</p>
    SUBSCRIBED
  </main>
</html>"""

TAGS = {
    "beside": "{% juggernaut_subscribe 'ticker' refresh='#quote' %}",
    "around": "{% juggernaut_subscribe 'ticker' refresh='#page' %}",
    "reload": "{% juggernaut_subscribe 'ticker' on_stale='reload' %}",
}
"""What the page does about a gap: fetch a part without the tag, a part with it, or load all of it again."""


@cache_page(3600)
def cached(request, tag):
    template = engines["django"].from_string(PAGE.replace("SUBSCRIBED", TAGS[tag]))
    return HttpResponse(template.render({}, request))


urlpatterns = [
    path("cached/<slug:tag>/", cached),
    path("", include("testproject.urls")),
]
