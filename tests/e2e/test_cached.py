"""A page that comes out of a cache, older than what its channel's history still has."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from django_jugpush.access.moments import MARGIN

QUIET = 3_000
"""Milliseconds in which a page that went round in circles would have asked many times."""


class Cached:
    """One cached page of the site, and what its server was asked for."""

    def __init__(self, site, tag):
        self.site = site
        self.path = f"/cached/{tag}/"
        self._before = self._asked()
        self.html = self.fetch()

    def fetch(self):
        with urllib.request.urlopen(self.site.url + self.path) as response:
            return response.read().decode()

    @property
    def asked(self):
        """How often it was asked for after the first time, as the server's log has it."""
        return self._asked() - self._before - 1

    def _asked(self):
        return self.site.log.read_text().count(f'"GET {self.path} ')

    def publish(self, *quotes):
        self.site.run(f"for quote in {quotes!r}: push.publish('ticker', quote)")


@pytest.fixture
def cached(request, site, open_window):
    """The page was rendered, and since then more was published than the channel keeps."""
    window = open_window("/login/")
    window.wait_for(lambda: time.monotonic() - site.started > MARGIN + 0.1)
    page = Cached(site, request.param)
    page.publish("one", "two", "three")
    assert page.fetch() == page.html, "it is the same for everybody, its position too"
    window.wait_for(lambda: page.asked == 1)
    page.window = window
    window.page.add_init_script(
        "addEventListener('juggernaut:stale', ({ detail }) => (window.stale ??= []).push(detail.reason))"
    )
    window.frames.clear()
    window.open(page.path)
    return page


def answers(window):
    return [word["recovered"] for word in map(json.loads, window.frames) if word.get("type") == "subscribed"]


def live(window):
    return [word["data"] for word in window.publications()]


@pytest.mark.parametrize("cached", ["beside", "around"], indirect=True)
def test_refresh_from_the_same_cache_is_made_once(cached):
    """Once for the gap, whether the refreshed part has the old position in it or not; and then for what comes."""
    window = cached.window
    window.wait_for(lambda: cached.asked == 3)
    window.page.wait_for_timeout(QUIET)
    assert cached.asked == 3, "by the test, by the window, and to refresh"
    assert window.page.evaluate("stale") == ["gap"]
    assert answers(window) == [False]
    for number, quote in enumerate(["four", "five"], start=1):
        cached.publish(quote)
        window.wait_for(lambda number=number: len(live(window)) == number and cached.asked == 3 + number)
    window.page.wait_for_timeout(QUIET)
    assert live(window) == ["four", "five"]
    assert cached.asked == 5
    assert window.page.evaluate("stale") == ["gap"]
    assert answers(window) == [False]


@pytest.mark.parametrize("cached", ["reload"], indirect=True)
def test_page_from_a_cache_is_loaded_again_once(cached):
    """It is as old as before then, and says so; but that it was loaded just now is known."""
    window = cached.window
    window.wait_for(lambda: answers(window)[:2] == [False, False])
    window.wait_connected()
    window.page.evaluate("window.untouched = true")
    window.page.wait_for_timeout(QUIET)
    cached.publish("four", "five")
    window.wait_for(lambda: live(window) == ["four", "five"])
    assert window.page.evaluate("[stale, untouched]") == [["gap"], True]
    assert answers(window) == [False, False]
    assert cached.asked == 3, "by the test, by the window, and again"
