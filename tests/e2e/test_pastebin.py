"""What people see in their windows when others do something."""

from __future__ import annotations

from playwright.sync_api import expect

SECOND = 1000


def notices(window) -> list[str]:
    return [" ".join(text.split()) for text in window.page.locator("#notices .notice").all_text_contents()]


def test_two_users_see_each_others_replies_within_a_second(site, open_window):
    """A reply shows in the list of whoever has the parent open, signed in or not, and as one notice to its author."""
    parent = site.paste("To be answered.", author="ann")
    ann = open_window(f"/{parent}/", user="ann")
    bob = open_window(f"/{parent}/", user="bob")
    bob_writes = open_window("/", user="bob")
    visitor = open_window(f"/{parent}/")

    bob_writes.paste("An answer by Bob.", reply_to=parent)
    expect(ann.page.locator("#replies")).to_contain_text("An answer by Bob.", timeout=SECOND)
    for window in (bob, visitor):
        expect(window.page.locator("#replies")).to_contain_text("An answer by Bob.", timeout=SECOND)
    reply = int(bob_writes.page.get_by_role("heading", name="Paste #").inner_text().split("#")[1])
    expect(ann.page.locator("#notices .notice")).to_have_count(1)
    assert notices(ann) == [f"New reply by bob to this paste: #{reply}"]
    assert notices(bob) == notices(visitor) == []

    ann_writes = open_window("/", user="ann")
    ann_writes.paste("An answer by Ann.", reply_to=parent)
    for window in (ann, bob, visitor):
        expect(window.page.locator("#replies")).to_contain_text("An answer by Ann.", timeout=SECOND)
    assert len(notices(ann)) == 1, "a reply to oneself is no news"


def test_the_author_is_told_on_every_page(site, open_window):
    """The notice names the replier and leads to the reply and its parent, whatever page is open."""
    parent = site.paste("To be answered elsewhere.", author="ann")
    pages = [open_window(path, user="ann").page for path in ("/", "/my-pastes/", f"/{site.paste('Another.')}/")]
    reply = site.paste("From afar.", author="cem", parent=parent)
    for page in pages:
        notice = page.locator("#notices .notice")
        expect(notice).to_have_text(f"New reply by cem to your paste #{parent}: #{reply}", timeout=5 * SECOND)
        expect(notice.get_by_role("link")).to_have_count(2)
    pages[0].get_by_role("link", name=f"#{reply}", exact=True).first.click()
    expect(pages[0].get_by_role("heading", name=f"Paste #{reply}")).to_be_visible()


def test_nobody_gets_what_is_not_his(site, open_window):
    """A third user's window is sent the public list only: no notice, no paste that he has not opened."""
    parent = site.paste("Between Ann and Bob.", author="ann")
    cem = open_window("/", user="cem")
    site.paste("Only for Ann.", author="bob", parent=parent)
    expect(cem.page.locator("#pastes")).to_contain_text("Only for Ann.")
    assert {publication["channel"] for publication in cem.publications()} == {"pastes"}
    assert not any("notice" in frame or "Only for Ann" in frame for frame in cem.frames)
    assert notices(cem) == []


def test_a_name_that_is_markup_stays_text(site, open_window):
    """The notice is built from text, so nobody's name can put an element into another's page."""
    site.run("User.objects.get_or_create(username='<img src=x>')")
    parent = site.paste("Beware.", author="bob")
    bob = open_window("/", user="bob")
    site.paste("Hello.", author="<img src=x>", parent=parent)
    expect(bob.page.locator("#notices .notice")).to_contain_text("New reply by <img src=x> to your paste")
    expect(bob.page.locator("#notices img")).to_have_count(0)


def test_a_deleted_parent_disappears_from_its_reply(site, open_window):
    """Whoever reads a reply sees the link to its parent go when the parent is deleted."""
    parent = site.paste("Soon gone.", author="ann")
    reply = site.paste("Stays.", author="bob", parent=parent)
    visitor = open_window(f"/{reply}/")
    expect(visitor.page.locator("#origin")).to_contain_text("In reply to")
    ann = open_window(f"/{parent}/", user="ann")
    ann.page.get_by_role("link", name="Delete").click()
    ann.page.get_by_role("button", name="Yes, delete it").click()
    expect(ann.page.get_by_text("Paste was deleted.")).to_be_visible()
    expect(visitor.page.locator("#origin")).not_to_contain_text("In reply to")


def test_the_page_goes_on_after_the_server_was_stopped_and_started(site, open_window):
    """The same page, not loaded again, connects by itself and shows what happened since."""
    window = open_window("/")
    window.page.evaluate("window.untouched = true")
    site.stop()
    expect(window.page.locator(".dot")).to_have_text("offline", use_inner_text=True)
    missed = site.paste("Saved while the server was away.")
    site.start()
    expect(window.page.locator(".dot")).to_have_text("live", timeout=30 * SECOND, use_inner_text=True)
    expect(window.page.locator(f"#paste-{missed}")).to_be_visible(timeout=10 * SECOND)
    window.wait_connected()
    again = site.paste("Saved when it was back.")
    expect(window.page.locator(f"#paste-{again}")).to_be_visible(timeout=5 * SECOND)
    assert window.page.evaluate("window.untouched")
    # Chromium itself reports each attempt to reach a server that is away.
    window.problems = [text for text in window.problems if "ERR_CONNECTION" not in text]


def test_a_filtered_list_stays_right_under_many_saves(site, open_window):
    """Fifty saves of another process cost the page one or two fetches, and its filter and page number hold."""
    site.run("Paste.objects.bulk_create(Paste(code=f'needle {n}') for n in range(15))")
    window = open_window("/?q=needle&page=2")
    expect(window.page.locator("#pastes .pastes > li")).to_have_count(5)
    expected, seconds = site.run("""
import time
begin = time.monotonic()
for n in range(50):
    Paste.objects.create(code=f"{'needle' if n % 2 else 'hay'} again {n}")
seconds = time.monotonic() - begin
pastes = Paste.objects.filter(code__contains="needle").order_by("-pk")[10:20]
print(json.dumps([[paste.pk for paste in pastes], seconds]))
""")
    window.wait_for(lambda: len(window.publications()) == 50 and not window.unfetched)
    expect(window.page.locator(f"#paste-{expected[0]}")).to_be_visible()  # the last of the rows to come to this page
    shown = window.page.locator("#pastes .pastes > li").evaluate_all("items => items.map(item => item.id)")
    assert shown == [f"paste-{pk}" for pk in expected]
    expect(window.page.locator(".pages")).to_contain_text("Page 2 of 4")
    # News is collected for 0.3 s before each fetch; a machine that needs longer to save sees more of them.
    assert 1 <= len(window.refreshes) <= 2 + int(seconds / 0.6), window.refreshes
    assert all(url.endswith("/?q=needle&page=2") for url in window.refreshes)


def test_progress_is_seen_before_the_commit(site, open_window):
    """With on_commit=False a page shows values while the transaction of another process is still open."""
    window = open_window("/")
    with site.popen("""
with transaction.atomic():
    print(Paste.objects.create(code="Not committed yet.").pk, flush=True)
    while percent := input():
        push.publish("banner", {"text": f"{percent} %"}, on_commit=False)
push.publish("banner", {"text": ""})
""") as job:
        pk = int(job.stdout.readline())
        for percent in (0, 50, 100):
            print(percent, file=job.stdin, flush=True)
            expect(window.page.locator("#banner")).to_have_text(f"{percent} %")
        assert job.poll() is None, "the transaction is still open"
        expect(window.page.locator(f"#paste-{pk}")).to_have_count(0)
        job.communicate("\n", timeout=30)
    expect(window.page.locator(f"#paste-{pk}")).to_be_visible()


def test_logging_out_is_a_form(open_window):
    """The button logs out by POST; the page that follows says so for a while and is connected as a visitor's."""
    ann = open_window("/my-pastes/", user="ann")
    with ann.page.expect_request("**/logout/") as request:
        ann.page.get_by_role("button", name="Log out ann").click()
    assert request.value.method == "POST"
    expect(ann.page.get_by_text("You were logged out.")).to_be_visible()
    ann.wait_connected()
    expect(ann.page.locator(".dot")).to_have_text("live", use_inner_text=True)
    expect(ann.page.get_by_text("You were logged out.")).to_be_hidden(timeout=10 * SECOND)
