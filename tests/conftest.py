"""What tests of several rooms use."""

from __future__ import annotations

import os

import pytest

from tests.redis_server import running_redis

pytest.register_assert_rewrite("tests.contracts")


class Clock:
    """A time that stands still until it is moved."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """What tells the time of a test."""
    return Clock()


@pytest.fixture
def alice(django_user_model):
    """A user."""
    return django_user_model.objects.create_user("alice", password="secret")


@pytest.fixture
def bob(django_user_model):
    """Another user."""
    return django_user_model.objects.create_user("bob", password="secret")


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    """A redis-server for all tests of a module; one that takes it away brings it back."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path):
    """A redis-server that the test may kill."""
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")  # no longer: while Playwright runs, no other test of the process can run an event loop
def browser():
    """Chromium. Without one the tests are skipped, unless CI is set: then they fail."""
    from tests.e2e.windows import BROWSERS, find_browser, launch

    path = find_browser()
    if path is None:
        missing = f"no browser on PATH (looked for {', '.join(BROWSERS)})"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = launch(driver, path)
        yield chromium
        chromium.close()
