"""The pastebin's pages: what they show, store and refuse."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from testproject.pastebin.models import Paste


def text(response) -> str:
    return " ".join(response.content.decode().split())


def test_front_page_shows_the_newest_first(client, ann):
    """Number, author and the beginning of the text stand in the list."""
    Paste.objects.create(code="first", author=ann)
    Paste.objects.create(code="second")
    page = text(client.get("/"))
    assert page.index("second") < page.index("first")
    assert "by ann" in page and "by someone" in page


def test_front_page_filters_and_pages(client, ann):
    """The filter looks at text and author, and its page links keep it."""
    Paste.objects.bulk_create(Paste(code=f"needle {n}") for n in range(11))
    Paste.objects.create(code="hay", author=ann)
    first = client.get("/", {"q": "NEEDLE"})
    assert [paste.code for paste in first.context["page"]] == [f"needle {n}" for n in range(10, 0, -1)]
    assert 'href="?q=NEEDLE&amp;page=2"' in text(first)
    second = client.get("/", {"q": "NEEDLE", "page": "2"})
    assert [paste.code for paste in second.context["page"]] == ["needle 0"]
    assert [paste.code for paste in client.get("/", {"q": "ann"}).context["page"]] == ["hay"]


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", ""])
def test_any_page_number_is_answered(client, page):
    """A page that does not exist shows the nearest one."""
    assert client.get("/", {"page": page}).status_code == 200


def test_list_costs_a_fixed_number_of_queries(client, ann, django_assert_num_queries):
    """Ten pastes with authors, parents and replies cost one count and one query."""
    parent = Paste.objects.create(code="parent", author=ann)
    for n in range(9):
        Paste.objects.create(code=f"reply {n}", author=ann, parent=parent)
    with django_assert_num_queries(2):
        client.get("/")


def test_paste_is_stored_with_its_author(client, ann):
    """The form leads to the stored paste."""
    client.force_login(ann)
    response = client.post("/", {"code": "print('ü')\r\n"})
    paste = Paste.objects.get()
    assert (paste.author, paste.parent) == (ann, None)
    assert response["Location"] == f"/{paste.pk}/"


def test_paste_without_login_has_no_author(client):
    """Anyone may paste."""
    client.post("/", {"code": "anonymous"})
    assert Paste.objects.get().author is None


@pytest.mark.parametrize("data", [{}, {"code": ""}, {"code": " \n"}, {"code": "x" * 100_001}])
def test_form_that_cannot_be_stored_says_why(client, data):
    """Nothing is stored, and the form comes back with a message."""
    response = client.post("/", data)
    assert response.status_code == 200
    assert not Paste.objects.exists()
    assert 'class="errorlist"' in text(response)


def test_reply_form_starts_with_the_text_of_the_parent(client):
    """The heading names the parent, and its text can be changed."""
    parent = Paste.objects.create(code="to be mended")
    page = text(client.get("/", {"reply_to": parent.pk}))
    assert "Reply to" in page
    assert ">\nto be mended</textarea>".replace("\n", " ") in page
    assert f'name="parent" value="{parent.pk}"' in page


@pytest.mark.parametrize("reply_to", ["99", "x", "-1", "", "²", "9" * 40])
def test_reply_to_no_paste_is_the_plain_form(client, reply_to):
    """An address that names no paste offers a paste of its own."""
    response = client.get("/", {"reply_to": reply_to})
    assert response.context["parent"] is None
    assert "New paste" in text(response)


def test_reply_is_linked_to_its_parent(client, bob):
    """Each shows the other."""
    parent = Paste.objects.create(code="parent")
    client.force_login(bob)
    reply_url = client.post("/", {"code": "reply", "parent": parent.pk})["Location"]
    assert f'In reply to <a href="/{parent.pk}/">#{parent.pk}</a>' in text(client.get(reply_url))
    assert reply_url in text(client.get(f"/{parent.pk}/"))


def test_reply_to_a_paste_deleted_meanwhile_is_kept(client):
    """The text is stored on its own, and a message says so."""
    response = client.post("/", {"code": "too late", "parent": "99"}, follow=True)
    assert Paste.objects.get().parent is None
    assert "The paste you replied to is gone" in text(response)


def test_form_sent_with_errors_is_still_a_reply(client):
    """An empty reply shows the form of the reply again."""
    parent = Paste.objects.create(code="parent")
    response = client.post("/", {"code": "", "parent": parent.pk})
    assert response.context["parent"] == parent
    assert "Reply to" in text(response)


def test_paste_shows_its_text_as_text(client, ann):
    """Markup in a paste is shown, not obeyed; the date has the form of a log."""
    paste = Paste.objects.create(code="<script>alert(1)</script>", author=ann)
    page = text(client.get(f"/{paste.pk}/"))
    assert "&lt;script&gt;alert(1)" in page
    assert f"{paste.created:%Y-%m-%d @ %H:%M}" in page


@pytest.mark.parametrize("path", ["/99/", "/99/delete/", f"/{'9' * 40}/"])
def test_unknown_paste_is_not_found(client, ann, path):
    """The answer is 404, with a page that leads on."""
    client.force_login(ann)
    response = client.get(path)
    assert response.status_code == 404
    assert "There is no such page" in text(response)


def test_replies_outlive_their_parent(client, ann):
    """A reply whose parent was deleted shows without it."""
    parent = Paste.objects.create(code="parent", author=ann)
    reply = Paste.objects.create(code="reply", parent=parent)
    client.force_login(ann)
    client.post(f"/{parent.pk}/delete/", {"yes": "yes"})
    response = client.get(f"/{reply.pk}/")
    assert response.status_code == 200
    assert "In reply to" not in text(response)


def test_author_deletes_by_saying_yes(client, ann):
    """A GET asks, another answer keeps the paste, and yes deletes it."""
    paste = Paste.objects.create(code="mine", author=ann)
    client.force_login(ann)
    assert "Yes, delete it" in text(client.get(f"/{paste.pk}/delete/"))
    assert client.post(f"/{paste.pk}/delete/")["Location"] == f"/{paste.pk}/"
    assert Paste.objects.exists()
    response = client.post(f"/{paste.pk}/delete/", {"yes": "yes"}, follow=True)
    assert not Paste.objects.exists()
    assert response.redirect_chain == [("/", 302)]
    assert "Paste was deleted." in text(response)


@pytest.mark.parametrize("author", ["ann", None])
def test_nobody_else_deletes(client, ann, bob, author):
    """Another user is refused, also for a paste without an author."""
    paste = Paste.objects.create(code="not yours", author=ann if author else None)
    client.force_login(bob)
    assert "Delete" not in text(client.get(f"/{paste.pk}/"))
    response = client.post(f"/{paste.pk}/delete/", {"yes": "yes"})
    assert response.status_code == 403
    assert "That is not allowed" in text(response)
    assert Paste.objects.exists()


def test_visitor_is_led_to_the_login(client):
    """Pages that need a user ask for one and remember where one came from."""
    paste = Paste.objects.create(code="not yours")
    for path in ("/my-pastes/", f"/{paste.pk}/delete/"):
        assert client.get(path)["Location"] == f"/login/?next={path}"


def test_my_pastes_lists_twenty_of_ones_own(client, ann, bob):
    """Newest first, nobody else's, the rest on the next page."""
    Paste.objects.bulk_create(Paste(code=f"mine {n}", author=ann) for n in range(21))
    Paste.objects.create(code="his", author=bob)
    client.force_login(ann)
    first = client.get("/my-pastes/")
    assert [paste.code for paste in first.context["page"]] == [f"mine {n}" for n in range(20, 0, -1)]
    assert [paste.code for paste in client.get("/my-pastes/?page=2").context["page"]] == ["mine 0"]


def test_login_says_hello_and_leads_back(client, ann):
    """The address in ``next`` is followed when it is on this site."""
    response = client.post("/login/", {"username": "ann", "password": "pastebin", "next": "/my-pastes/"}, follow=True)
    assert response.redirect_chain == [("/my-pastes/", 302)]
    assert "You are now logged in as ann." in text(response)


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_login_leads_to_no_other_site(client, ann, url):
    """An address elsewhere is not followed, whether in the form or in the query."""
    data = {"username": "ann", "password": "pastebin"}
    assert client.post("/login/", data | {"next": url})["Location"] == "/"
    client.logout()
    assert client.post(reverse("login") + f"?next={url}", data)["Location"] == "/"


def test_logout_is_a_post(client, ann):
    """A link or an image of another site logs nobody out."""
    client.force_login(ann)
    assert client.get("/logout/").status_code == 405
    assert "_auth_user_id" in client.session
    assert "You were logged out." in text(client.post("/logout/", follow=True))
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("path", ["/", "/login/", "/logout/", "/{pk}/delete/"])
def test_forms_need_the_csrf_token(ann, path):
    """What another site's page sends is refused."""
    paste = Paste.objects.create(code="mine", author=ann)
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    assert client.post(path.format(pk=paste.pk), {"code": "forged", "yes": "yes"}).status_code == 403
    assert Paste.objects.count() == 1
