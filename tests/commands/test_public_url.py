"""The ways in which a push server is put on the web: what a proxy asks it, and what pages it takes."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import connect

SITE = "https://shop.example"
BY_PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
TIMEOUT = 5


@pytest.mark.processes
@pytest.mark.parametrize(
    ("public_url", "path"),
    [
        ("/juggernaut/", "/juggernaut/websocket"),
        ("https://push.shop.example/", "/websocket"),
        ("https://push.shop.example/live/", "/live/websocket"),
        ("/shop/juggernaut/", "/shop/juggernaut/websocket"),
        ("/shop/juggernaut/", "/websocket"),
    ],
    ids=["same origin", "own host name", "own host name, a path", "path prefix", "path prefix that the proxy strips"],
)
def test_page_of_the_site_connects_through_the_proxy_and_a_strange_one_does_not(push, public_url, path):
    """TLS ends at the proxy, whose word on the scheme is taken; the origin is the site's in each case."""
    setting = json.dumps({"PUBLIC_URL": public_url, "ALLOWED_ORIGINS": [SITE]})
    server = push.start(SITE_JUGPUSH=setting)
    url = f"ws://{server.url}{path}?protocol=1"
    with connect(url, origin=SITE, additional_headers=BY_PROXY, open_timeout=TIMEOUT) as page:
        assert json.loads(page.recv(TIMEOUT))["type"] == "connected"
    for origin in ("https://evil.example", "http://shop.example"):
        with connect(url, origin=origin, additional_headers=BY_PROXY, open_timeout=TIMEOUT) as page:
            assert json.loads(page.recv(TIMEOUT))["code"] == 3507
