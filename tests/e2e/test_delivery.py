"""What is published while a page is not there to hear it."""

from __future__ import annotations

import json
import time

from playwright.sync_api import expect

from django_jugpush.access.moments import MARGIN

SECOND = 1000


def answers(window) -> list[dict]:
    """What the window's subscriptions were answered."""
    return [word for word in map(json.loads, window.frames) if word.get("type") == "subscribed"]


def channels(window) -> list[str]:
    """Of what reached the window, live or replayed."""
    replayed = [frame for answer in answers(window) for frame in answer.get("publications", ())]
    return [frame["channel"] for frame in [*replayed, *window.publications()]]


def test_what_is_saved_while_the_page_is_on_its_way_shows(site, open_window):
    """After the view's query and before the page's script runs: it is replayed."""
    window = open_window("/login/")
    # A page asks for what was published in the second before its rendering too; a server must have been there then.
    window.wait_for(lambda: time.monotonic() - site.started > MARGIN + 0.1)
    saved = []

    def save_first(route):
        saved.append(site.paste("Saved in between."))
        route.continue_()

    window.page.route("**/juggernaut.js", save_first)
    window.frames.clear()
    window.open("/")
    assert len(saved) == 1
    expect(window.page.locator(f"#paste-{saved[0]}")).to_be_visible(timeout=5 * SECOND)
    assert [answer["recovered"] for answer in answers(window)] == [True] * len(answers(window))
    assert "pastes" in channels(window)


def test_what_is_saved_while_the_network_is_away_is_recovered(site, open_window):
    """The page gets the very publications that it missed, and is told of no gap."""
    window = open_window("/")
    window.page.evaluate("window.stale = []; addEventListener('juggernaut:stale', (event) => stale.push(event.detail))")
    window.page.context.set_offline(True)
    window.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")  # what is open stays open offline
    expect(window.page.locator("juggernaut-subscribe[connected]")).to_have_count(0)
    missed = [site.paste(f"Missed {number}.") for number in range(2)]
    window.frames.clear()
    window.page.context.set_offline(False)
    window.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow'))")
    window.wait_connected()
    expect(window.page.locator(f"#paste-{missed[-1]}")).to_be_visible(timeout=5 * SECOND)
    (answer,) = [answer for answer in answers(window) if answer["channel"] == "pastes"]
    assert answer["recovered"] is True
    assert [frame["data"]["pk"] for frame in answer["publications"]] == missed
    assert window.page.evaluate("stale") == []
    # Chromium itself reports what could not be fetched offline.
    window.problems = [text for text in window.problems if "ERR_INTERNET_DISCONNECTED" not in text]


def test_nobody_is_greeted_with_what_he_did_himself(site, open_window):
    """After POST, redirect and GET the tab gets nothing of its own doing; another tab of the same user gets it."""
    parent = site.paste("Of Bob.", author="bob")
    bob = open_window("/", user="bob")
    other = open_window(f"/{parent}/", user="bob")
    bob.frames.clear()
    other.frames.clear()
    bob.paste("By Bob.")
    expect(bob.page.get_by_role("heading", name="Paste #")).to_be_visible()
    bob.open("/")
    other.open("/")
    expect(other.page.get_by_text("By Bob.").first).to_be_visible()
    site.paste("By somebody else.")
    bob.wait_for(lambda: "pastes" in channels(bob))
    assert channels(bob).count("pastes") == 1
    assert channels(other).count("pastes") >= 1


def test_page_that_asks_for_it_is_loaded_again_once(site, open_window):
    """Upon a gap, and not again for the next one: a page that cannot be helped must not load for ever."""
    window = open_window("/")
    window.page.evaluate("""() => {
        const element = document.createElement("juggernaut-subscribe");
        element.setAttribute("channel", "banner");
        element.setAttribute("on-stale", "reload");
        document.body.append(element);
        window.untouched = true;
    }""")
    window.wait_connected()
    with window.page.expect_navigation(timeout=30 * SECOND):
        site.stop()
        site.start()
    assert window.page.evaluate("window.untouched") is None
    window.problems = [text for text in window.problems if "ERR_CONNECTION" not in text]
