"""A running pastebin, a browser, and windows in which nothing may have gone wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from .site import Site
from .windows import BROWSERS, Window, find_browser, launch

USERS = ["ann", "bob", "cem"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.processes)
            if "browser" in item.fixturenames:
                item.add_marker(pytest.mark.chromium)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    """The pastebin with three users, ann, bob and cem."""
    site = Site(tmp_path_factory.mktemp("pastebin"))
    site.prepare(USERS)
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")  # no longer: while Playwright runs, no other test of the process can run an event loop
def browser():
    """Chromium. Without one the tests are skipped, unless CI is set: then they fail."""
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


@pytest.fixture
def open_window(browser, site) -> Iterator[Callable[..., Window]]:
    """Open windows; at the end of the test none of them may have had an error."""
    windows: list[Window] = []

    def open_window(path: str, *, user: str | None = None) -> Window:
        window = Window(browser.new_context(base_url=site.url))
        windows.append(window)
        if user:
            window.log_in(user)
        window.open(path)
        return window

    yield open_window
    for window in windows:
        window.page.context.close()
    assert [window.problems for window in windows] == [[] for _ in windows]
