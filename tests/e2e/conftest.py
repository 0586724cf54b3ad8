"""A running pastebin, a browser, and windows in which nothing may have gone wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .site import Site
from .windows import Window

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


@pytest.fixture
def open_window(browser, site) -> Iterator[Callable[..., Window]]:
    """Open windows; at the end of the test none of them may have had an error."""
    windows: list[Window] = []

    def open_window(path: str, *, user: str | None = None) -> Window:
        window = Window(browser.new_context(base_url=site.url, ignore_https_errors=True))
        windows.append(window)
        if user:
            window.log_in(user)
        window.open(path)
        return window

    yield open_window
    for window in windows:
        window.page.context.close()
    assert [window.problems for window in windows] == [[] for _ in windows]
