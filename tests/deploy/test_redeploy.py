"""What visitors notice when something is deployed: of the site nothing, of the push server three seconds."""

from __future__ import annotations

import re
import signal
import time

import pytest
from playwright.sync_api import expect

from tests.e2e.site import wait_until

from .crowd import Crowd

SECOND = 1000
CLIENTS = 200
WORKERS = 4


@pytest.fixture
def crowd(site):
    """Readers of the list of pastes, in the number that a busy small site has."""
    with Crowd(site.url, size=CLIENTS, channel="pastes", certificate=str(site.certificate)) as crowd:
        yield crowd


@pytest.fixture
def window(open_window):
    """A page that counts its sockets and knows if it was loaded again."""
    window = open_window("/")
    window.page.evaluate("window.untouched = true")
    window.sockets = []
    window.page.on("websocket", lambda socket: window.sockets.append(socket.url))
    return window


def disconnects(site) -> float:
    """Return how many connections the push server has seen end."""
    return sum(map(float, re.findall(r"^jugpush_disconnects_total\{.*\} (\S+)$", site.metrics(), re.M)))


def workers(site) -> set[str]:
    """Return the ids of gunicorn's workers."""
    return set(re.findall(r"Booting worker with pid: (\d+)", (site.directory / "gunicorn.log").read_text()))


def see_news(site, window, crowd):
    """Save a paste in another process; the page and everybody else hear of it."""
    before = crowd.received
    paste = site.paste("News.")
    expect(window.page.locator(f"#paste-{paste}")).to_be_visible(timeout=5 * SECOND)
    window.wait_for(lambda: crowd.received == before + CLIENTS)


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_deploying_the_site_drops_no_connection(site, window, crowd, how):
    """Neither gunicorn's reload nor a restart of it touches the push server."""
    ended, old = disconnects(site), workers(site)
    if how == "reload":
        site.processes["gunicorn"].send_signal(signal.SIGHUP)
    else:
        site.stop_one("gunicorn")
        site.start_gunicorn()
    wait_until(lambda: len(workers(site) - old) == WORKERS and site.answers(), what=site.logs)

    see_news(site, window, crowd)
    assert (crowd.drops, disconnects(site) - ended, window.sockets) == (0, 0, [])
    assert window.page.evaluate("window.untouched")


def test_after_a_restart_of_the_push_server_everyone_is_back_within_three_seconds(site, window, crowd, record_property):
    """Measured from the signal that stops the old process; pages are not loaded again."""
    began = time.monotonic()
    site.stop_one("push")
    stopped = time.monotonic() - began
    site.start_push()
    crowd.wait_for(lambda: crowd.drops == CLIENTS and crowd.is_complete)
    everyone = time.monotonic() - began
    expect(window.page.locator(".dot")).to_have_text("live", timeout=3 * SECOND, use_inner_text=True)
    page = time.monotonic() - began
    print(f"old process ended after {stopped:.2f} s, {CLIENTS} clients back after {everyone:.2f} s, page {page:.2f} s")
    assert max(everyone, page) < 3

    window.wait_connected()
    see_news(site, window, crowd)
    assert window.page.evaluate("window.untouched")
    # Chromium itself reports attempts that the proxy has to refuse.
    window.problems = [text for text in window.problems if "502" not in text]
