"""What an open page makes of it that its login ends, or that rights change."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

SECOND = 1000


@pytest.fixture
def second_tab(open_window):
    """Open another tab of a window's browser profile."""
    tabs = []

    def second_tab(window, path):
        tabs.append(window.page.context.new_page())
        tabs[-1].goto(path)
        return tabs[-1]

    yield second_tab
    for tab in tabs:
        tab.close()


def refused(window):
    return [word for word in map(json.loads, window.frames) if word.get("type") in ("error", "disconnect")]


def test_logging_out_in_one_tab_silences_the_other(site, open_window, second_tab):
    """At once, though it was never loaded again."""
    mine = site.paste("Of Ann, who is about to leave.", author="ann")
    window = open_window("/", user="ann")
    tab = second_tab(window, "/my-pastes/")
    window.frames.clear()
    tab.get_by_role("button", name="Log out ann").click()
    window.wait_for(lambda: refused(window))
    assert refused(window)[0]["code"] == 3510
    assert window.page.evaluate("juggernaut.state") == "ended"
    window.frames.clear()
    site.paste("For Ann's eyes only.", author="bob", parent=mine)
    expect(tab.get_by_text("You were logged out.")).to_be_visible()
    assert window.publications() == []


@pytest.mark.parametrize(
    "change",
    [
        "push.reauthorize(User.objects.get(username='ann'))",
        "user = User.objects.get(username='ann'); user.is_staff = not user.is_staff; user.save()",
        "user = User.objects.get(username='ann'); user.groups.create(name='a group').delete()",
    ],
    ids=["reauthorize", "fingerprint", "group"],
)
def test_page_that_keeps_its_rights_misses_nothing(site, open_window, change):
    """It is asked again, and goes on where it was, without being loaded again."""
    mine = site.paste("Of Ann, who stays.", author="ann")
    window = open_window("/", user="ann")
    window.page.evaluate("window.untouched = true")
    reply = site.run(f"""
{change}
author = User.objects.get(username="bob")
print(Paste.objects.create(code="In the same moment.", author=author, parent_id={mine}).pk)
""")
    # What an earlier test published less than a second ago comes too.
    notice = window.page.locator("#notices .notice").filter(has_text=f"#{reply}")
    expect(notice).to_have_count(1, timeout=10 * SECOND)
    window.wait_connected()
    assert window.page.evaluate("window.untouched")


def test_user_who_is_shut_out_does_not_keep_the_page(site, open_window):
    """It is loaded again as a visitor's, so that nothing of the user stays on a screen that others may use."""
    site.run("User.objects.create_user('dan', password='correct horse')")
    window = open_window("/", user="dan")
    site.run("User.objects.filter(username='dan').update(is_active=False); User.objects.get(username='dan').save()")
    expect(window.page.get_by_role("link", name="Log in")).to_be_visible(timeout=15 * SECOND)
    window.wait_connected()
