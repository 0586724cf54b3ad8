"""A running pastebin, a browser, and windows that note what went wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from .site import PASSWORD, Site

USERS = ["ann", "bob", "cem"]
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


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


@pytest.fixture(scope="session")
def browser():
    """Chromium. Without one the tests are skipped, unless CI is set: then they fail."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing = f"no browser on PATH (looked for {', '.join(BROWSERS)})"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    playwright = pytest.importorskip("playwright.sync_api") if not os.environ.get("CI") else None
    if playwright is None:
        from playwright import sync_api as playwright
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Window:
    """A browser window of its own profile: the page, and what passed in it."""

    def __init__(self, context) -> None:
        self.page = context.new_page()
        self.problems: list[str] = []
        """Errors in the console, those of the Content-Security-Policy included, and uncaught exceptions."""
        self.frames: list[str] = []
        """What the push server sent, one text per WebSocket frame."""
        self.refreshes: list[str] = []
        """Addresses that the client fetched to refresh a part of the page."""
        self.page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: self.frames.append(frame)))
        self.page.on("request", self.note_request)

    def note_request(self, request) -> None:
        if "x-juggernaut-refresh" in request.headers:
            self.refreshes.append(request.url)

    def log_in(self, name: str) -> None:
        self.page.goto("/login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("button", name=f"Log out {name}").wait_for()

    def open(self, path: str) -> None:
        """Go to a page of the site and wait until every subscription of it is confirmed."""
        self.page.goto(path)
        self.wait_connected()

    def wait_connected(self) -> None:
        self.page.locator("juggernaut-subscribe[connected]").first.wait_for(state="attached")
        self.page.wait_for_function("!document.querySelector('juggernaut-subscribe:not([connected])')")

    def paste(self, code: str, *, reply_to: int | None = None) -> None:
        """Send the form for a paste or a reply."""
        self.page.goto(f"/?reply_to={reply_to}" if reply_to else "/")
        self.page.get_by_label("Text", exact=True).fill(code)
        self.page.get_by_role("button", name="Reply" if reply_to else "Paste", exact=True).click()


@pytest.fixture
def open_window(browser, site) -> Iterator[Callable[..., Window]]:
    """Open windows; at the end of the test none of them may have had an error."""
    windows: list[Window] = []

    def open_window(path: str, *, user: str | None = None) -> Window:
        context = browser.new_context(base_url=site.url)
        window = Window(context)
        windows.append(window)
        if user:
            window.log_in(user)
        window.open(path)
        return window

    yield open_window
    for window in windows:
        window.page.context.close()
    assert [window.problems for window in windows] == [[] for _ in windows]
