"""Redis goes away for ten seconds while the site is in use, and comes back."""

from __future__ import annotations

import statistics
import threading
import time

import pytest

from tests.ports import free_port
from tests.runserver.conftest import wait_until_served
from tests.waiting import PATIENCE

pytestmark = pytest.mark.processes

OUTAGE = 10.0
VISITORS = 4


class Load:
    """Visitors who ship the order over and over, and how long each request takes."""

    def __init__(self, server):
        self._server = server
        self._over = threading.Event()
        self.requests = []
        self.failures = []
        self._threads = [threading.Thread(target=self._visit) for _ in range(VISITORS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *details):
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _visit(self):
        while not self._over.wait(0.02):
            began = time.monotonic()
            try:
                assert self._server.get("/orders/1/ship/") == "shipped"
            except Exception as error:
                self.failures.append(error)
            self.requests.append(time.monotonic() - began)


def serve(site, *arguments):
    """Start a server whose last argument is its port, with or without its address."""
    port = free_port()
    place = f"127.0.0.1:{port}" if arguments[-1] == "--bind" else str(port)
    server = site.start([*arguments, place], url=f"127.0.0.1:{port}")
    wait_until_served(server)
    return server


@pytest.mark.parametrize(("go_away", "come_back"), [("stop", "start"), ("freeze", "thaw")], ids=["stopped", "silent"])
def test_ten_seconds_without_redis(make_site, own_redis, go_away, come_back):
    """Requests stay fast, each log says it once, all works again by itself, and the page was connected all the time."""
    site = make_site(PUSH_BROKER=own_redis.url)
    push_server = serve(site, "manage.py", "juggernaut", "--port")
    gunicorn = serve(site, "-m", "gunicorn", "mysite.wsgi", f"--threads={VISITORS}", "--bind")
    page = push_server.client("orders", "banner")
    with Load(gunicorn) as load:
        assert page.next()["data"]
        getattr(own_redis, go_away)()
        before = len(load.requests)
        time.sleep(OUTAGE)
        during = load.requests[before:]
        getattr(own_redis, come_back)()
        gunicorn.wait_for("Publishing works again; [0-9]+ publications were lost")
        if go_away == "stop":  # the other way, Redis itself hands on what it was still given
            push_server.wait_for("Redis can be heard again")
            assert next(message for message in iter(page.next, None) if "reason" in message)["reason"] == "gap"
        site.shell("import django_jugpush as push; push.publish('banner', 'all is well')")
        assert any(message.get("data") == "all is well" for message in iter(page.next, None))
    assert not load.failures
    # Whoever is waiting when Redis falls silent waits a second; after that, one in five seconds does.
    slow = [seconds for seconds in during if seconds > 0.5]
    assert len(slow) <= VISITORS + OUTAGE / 5 and max(during) < 2
    assert len(during) > 100 and statistics.median(during) < 0.2
    assert gunicorn.output.count("Publishing fails from here on") == 1
    assert gunicorn.output.count("Publishing works again") == 1
    lost, found = push_server.output.count("Redis cannot be heard"), push_server.output.count("can be heard again")
    assert lost == found <= 1
    assert go_away == "freeze" or lost == 1
