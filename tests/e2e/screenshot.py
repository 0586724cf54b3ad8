"""
Make the picture of two windows that the README and the documentation show.

    python -m tests.e2e.screenshot docs/_static/two-windows.png
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from .site import Site
from .windows import Window, find_browser, launch

SIZE = {"width": 780, "height": 520}

COMPOSITION = """<!doctype html>
<style>
  body {{ margin: 0; padding: 10px; display: flex; gap: 10px; width: 1580px; background: #d9dce8; }}
  figure {{ margin: 0; width: 783px; border: 1px solid #a9aec2; border-radius: 10px; overflow: hidden; }}
  figcaption {{ padding: 8px 14px; background: #eceef5; border-bottom: 1px solid #cdd1df; font: 15px sans-serif; }}
  figcaption::before {{ content: "●  ●  ●"; margin-right: 14px; color: #b3b8ca; }}
  img {{ display: block; width: 100%; }}
</style>
<figure><figcaption>Ann has her paste open</figcaption><img src="data:image/png;base64,{ann}"></figure>
<figure><figcaption>Bob has just sent his reply</figcaption><img src="data:image/png;base64,{bob}"></figure>
"""


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as driver:
        browser = launch(driver, find_browser())
        site = Site(Path(directory))
        site.prepare(["ann", "bob", "cem"])
        site.start()
        try:
            ann, bob = photograph(browser, site)
        finally:
            site.stop()
        page = browser.new_page(viewport={"width": 1600, "height": 100})
        page.set_content(COMPOSITION.format(ann=ann, bob=bob))
        page.screenshot(path=target, full_page=True)
        browser.close()


def photograph(browser, site: Site) -> list[str]:
    """Let Bob reply to a paste that Ann has open; return what each sees, as PNG in Base64."""
    site.paste("Milk, bread, olives, and something for the cat.")
    parent = site.paste("def mean(numbers):\n    return sum(numbers) / len(numbers)", author="ann")
    site.paste("Mind the empty list.", author="cem", parent=parent)
    ann, bob = (Window(browser.new_context(base_url=site.url, viewport=SIZE)) for _ in range(2))
    ann.log_in("ann")
    bob.log_in("bob")
    ann.open(f"/{parent}/")
    bob.paste("from statistics import fmean as mean", reply_to=parent)
    bob.wait_connected()
    expect(ann.page.locator("#notices .notice")).to_be_visible()
    expect(ann.page.locator("#replies")).to_contain_text("fmean")
    return [
        base64.b64encode(window.page.screenshot(animations="disabled", caret="hide")).decode() for window in (ann, bob)
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
