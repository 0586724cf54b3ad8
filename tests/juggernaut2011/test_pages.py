"""Pages in a real browser: one of the original server, one of this package, and programs that know of neither."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import redis

import django_jugpush
from django_jugpush.juggernaut import Juggernaut

from .conftest import wait_until_heard

pytestmark = pytest.mark.chromium

STATIC = Path(django_jugpush.__file__).parent / "static/django_jugpush"

# As in the README of 2011, but for the token: here not everybody may follow a channel.
NEW_PAGE = """<!doctype html><script src="/juggernaut.js" data-url="/juggernaut/"></script>
<script>
  const got = [];
  const jug = new Juggernaut();
  jug.subscribe("channel1", (data) => got.push(data), { token: "channel1" });
</script>"""

OLD_SCRIPT = """(port) => {
  window.got = [];
  window.jug = new Juggernaut({host: "127.0.0.1", port: port});
  jug.subscribe("channel1", function (data) { got.push(data); });
}"""


@pytest.fixture
def subscribed(shared_redis):
    """A function that returns when servers have told of so many subscriptions since it was called last."""
    with redis.Redis.from_url(shared_redis.url) as client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("juggernaut:subscribe")
        pubsub.get_message(timeout=10)

        def subscribed(count):
            for _ in range(count):
                assert pubsub.get_message(timeout=10), "no page has subscribed"

        yield subscribed


@pytest.fixture
def new_page(browser, serve, shared_redis, subscribed):
    """A page of this package."""
    port = serve(url=shared_redis.url).port
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/juggernaut.js", lambda route: route.fulfill(path=STATIC / "juggernaut.js"))
        # Chromium lets no page reach this machine that has not come from it.
        page.goto(f"http://127.0.0.1:{port}/healthz")
        page.set_content(NEW_PAGE)
        subscribed(1)
        yield page


@pytest.fixture
def old_page(browser, original, shared_redis, subscribed):
    """A page of the original, with its own script."""
    wait_until_heard(shared_redis.url, "juggernaut")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{original.port}/socket.io")  # says welcome, and runs no script of its own
        page.add_script_tag(url="/application.js")
        page.evaluate(OLD_SCRIPT, original.port)
        subscribed(1)
        yield page


def test_what_programs_of_2011_publish_reaches_pages_of_both(new_page, old_page, shared_redis):
    """By Python, as the Ruby gem writes it, and by redis-cli."""
    with redis.Redis.from_url(shared_redis.url) as client:
        Juggernaut(client).publish("channel1", "Some data")
        client.publish("juggernaut", json.dumps({"channels": ["channel1"], "data": {"from": "Ruby"}}))
    message = '{"channels":["channel1"],"data":["redis-cli"]}'
    command = ["redis-cli", "-p", str(shared_redis.port), "-a", "legacy", "--no-auth-warning"]
    subprocess.run([*command, "PUBLISH", "juggernaut", message], check=True, capture_output=True, timeout=10)
    for page in (new_page, old_page):
        page.wait_for_function("got.length >= 3")
        assert page.evaluate("got") == ["Some data", {"from": "Ruby"}, ["redis-cli"]]
