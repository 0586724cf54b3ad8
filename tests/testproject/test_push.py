"""What the pastebin publishes, and to whom its pages subscribe."""

from __future__ import annotations

import re

import pytest

from django_jugpush.testing import capture_publications
from testproject.pastebin.models import Paste


def message(event, paste):
    return {"event": event, "model": "pastebin.paste", "pk": paste.pk, "fields": {}}


def subscriptions(response) -> list[str]:
    """The channels of the page's elements."""
    return re.findall(r'<juggernaut-subscribe channel="([^"]+)"', response.content.decode())


def test_paste_is_published_to_the_lists():
    """A paste without a parent concerns the lists and its own readers."""
    with capture_publications() as published:
        paste = Paste.objects.create(code="news")
    assert [(record.channel, record.data) for record in published] == [
        ("pastes", message("created", paste)),
        (f"pastebin.paste:{paste.pk}", message("created", paste)),
    ]


def test_reply_is_published_to_the_readers_of_its_parent(ann):
    """The parent's readers learn that there is a reply, and nothing of its text leaves the server."""
    parent = Paste.objects.create(code="parent")
    with capture_publications() as published:
        reply = Paste.objects.create(code="secret sauce", author=ann, parent=parent)
    published.assertPublished([parent, "pastes", reply], message("created", reply), times=1)
    assert "secret sauce" not in str([record.data for record in published])


def test_author_of_the_parent_is_told_once_by_whom(ann, bob):
    """The notice names the replier, not the parent's author, and where to go."""
    parent = Paste.objects.create(code="parent", author=ann)
    with capture_publications() as published:
        reply = Paste.objects.create(code="reply", author=bob, parent=parent)
    notice = {
        "notice": "reply",
        "user": "bob",
        "paste": {"name": f"#{parent.pk}", "url": f"/{parent.pk}/"},
        "reply": {"name": f"#{reply.pk}", "url": f"/{reply.pk}/"},
    }
    published.assertPublished(ann, notice, times=1)
    published.assertNotPublished(bob)


def test_anonymous_replier_is_someone(ann):
    """Who is not signed in has no name to show."""
    parent = Paste.objects.create(code="parent", author=ann)
    with capture_publications() as published:
        Paste.objects.create(code="reply", parent=parent)
    assert [record.data["user"] for record in published if record.channel == f"user:{ann.pk}"] == ["someone"]


def test_reply_to_oneself_is_no_notice(ann):
    """Nobody is told of what he did himself."""
    parent = Paste.objects.create(code="parent", author=ann)
    with capture_publications() as published:
        Paste.objects.create(code="reply", author=ann, parent=parent)
    published.assertNotPublished(ann)


def test_reply_to_an_anonymous_paste_is_no_notice(bob):
    """There is nobody to tell."""
    parent = Paste.objects.create(code="parent")
    with capture_publications() as published:
        Paste.objects.create(code="reply", author=bob, parent=parent)
    assert {record.channel for record in published} == {
        "pastes",
        f"pastebin.paste:{parent.pk}",
        f"pastebin.paste:{parent.pk + 1}",
    }


def test_editing_a_reply_is_no_notice(ann, bob):
    """The notice is about a reply that is new."""
    parent = Paste.objects.create(code="parent", author=ann)
    reply = Paste.objects.create(code="reply", author=bob, parent=parent)
    with capture_publications() as published:
        reply.code = "mended"
        reply.save()
    published.assertNotPublished(ann)
    published.assertPublished(parent, message("updated", reply), times=1)


def test_replies_are_published_when_their_parent_is_deleted(ann):
    """The database forgets the parent without a signal; the readers of its replies learn of it all the same."""
    parent = Paste.objects.create(code="parent", author=ann)
    reply = Paste.objects.create(code="reply", parent=parent)
    pk = parent.pk
    with capture_publications() as published:
        Paste.objects.filter(pk=pk).delete()
    published.assertPublished(f"pastebin.paste:{pk}", times=1)
    published.assertPublished(reply, message("updated", reply), times=1)


@pytest.mark.parametrize(
    ("path", "channels"),
    [
        ("/", ["banner", "pastes"]),
        ("/login/", ["banner"]),
        ("/{pk}/", ["banner", "pastebin.paste:{pk}"]),
    ],
)
def test_visitor_subscribes_to_what_everybody_may_see(client, path, channels):
    """Without a login a page has no channel of a user."""
    paste = Paste.objects.create(code="public")
    page = client.get(path.format(pk=paste.pk))
    assert subscriptions(page) == [channel.format(pk=paste.pk) for channel in channels]


@pytest.mark.parametrize("path", ["/", "/my-pastes/", "/{pk}/", "/{pk}/delete/", "/99/"])
def test_user_hears_of_replies_on_every_page(client, ann, path):
    """One subscription to the user's own channel on each page, pages of errors included."""
    paste = Paste.objects.create(code="mine", author=ann)
    client.force_login(ann)
    assert subscriptions(client.get(path.format(pk=paste.pk))).count(f"user:{ann.pk}") == 1


def test_tab_that_pastes_or_deletes_is_not_told_of_it(client, ann):
    """The page that it is led to shows it; everybody else is told, the author's other tabs too."""
    parent = Paste.objects.create(code="parent", author=ann)
    client.force_login(ann)
    tab = {"juggernaut_client": "Jx0bYl2R7tqKc1aM9wPz4A"}
    with capture_publications() as published:
        client.post("/", {"code": "reply", "parent": parent.pk, **tab})
        client.post(f"/{parent.pk}/delete/", {"yes": "yes", **tab})
    published.assertPublished("pastes", times=2)
    assert {record.exclude for record in published} == {(tab["juggernaut_client"],)}
