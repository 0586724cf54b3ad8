"""What the pastebin tells open pages, and who may listen."""

from __future__ import annotations

from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

import django_jugpush as push

from .models import Paste

push.channel("pastes", public=True)
push.channel("banner", public=True)


@push.register(Paste)
class PastePush(push.ModelPush[Paste]):
    """A paste is news for every list, for its own readers and, as a reply, for the readers of its parent."""

    select_related = ["parent"]

    def channels(self, paste):
        return ["pastes", paste, paste.parent] if paste.parent else ["pastes", paste]


@receiver(post_save, sender=Paste)
def notify_parent_author(instance, created, raw, **kwargs):
    """Tell the author of a paste, on whatever page he is, that somebody else replied to it."""
    parent = instance.parent
    if created and not raw and parent and parent.author and parent.author != instance.author:
        push.publish(
            parent.author,
            {
                "notice": "reply",
                "user": instance.author_name,
                "paste": {"name": str(parent), "url": parent.get_absolute_url()},
                "reply": {"name": str(instance), "url": instance.get_absolute_url()},
            },
        )


@receiver(pre_delete, sender=Paste)
def publish_orphans(instance, **kwargs):
    """Publish the replies that lose their parent, since the database's SET NULL sends no signal for them."""
    push.publish_changes(instance.replies.all())
