"""Browser windows that are used as people use them, and that note what passed in them."""

from __future__ import annotations

import json
import shutil

from playwright.sync_api import expect

from .site import PASSWORD, wait_until

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def launch(driver, path: str):
    return driver.chromium.launch(executable_path=path, args=FLAGS)


class Window:
    """A window with a profile of its own: the page, and what passed in it."""

    def __init__(self, context) -> None:
        self.page = context.new_page()
        self.problems: list[str] = []
        """Errors in the console, those of the Content-Security-Policy included, and uncaught exceptions."""
        self.frames: list[str] = []
        """What the push server sent, one text per WebSocket frame."""
        self.refreshes: list[str] = []
        """Addresses that the client fetched to refresh a part of the page."""
        self.unfetched = 0
        """Publications that came after the last of those fetches began."""
        self.page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("websocket", lambda socket: socket.on("framereceived", self.note_frame))
        self.page.on("request", self.note_request)

    def note_frame(self, text: str) -> None:
        self.frames.append(text)
        self.unfetched += "data" in json.loads(text)

    def note_request(self, request) -> None:
        if "x-juggernaut-refresh" in request.headers:
            self.refreshes.append(request.url)
            self.unfetched = 0

    def publications(self) -> list[dict]:
        """What was published to this window."""
        return [message for message in map(json.loads, self.frames) if "data" in message]

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
        expect(self.page.locator("juggernaut-subscribe[connected]")).not_to_have_count(0)
        expect(self.page.locator("juggernaut-subscribe:not([connected])")).to_have_count(0)

    def wait_for(self, condition) -> None:
        """Wait for something to be true of what the window notes, which Playwright cannot wait for."""
        wait_until(condition, what=lambda: f"{self.page.url}: {self.frames}", pause=self.page.wait_for_timeout)

    def paste(self, code: str, *, reply_to: int | None = None) -> None:
        """Send the form for a paste or a reply."""
        self.page.goto(f"/?reply_to={reply_to}" if reply_to else "/")
        self.page.get_by_label("Text", exact=True).fill(code)
        self.page.get_by_role("button", name="Reply" if reply_to else "Paste", exact=True).click()
