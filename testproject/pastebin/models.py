"""What the pastebin keeps."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse


class PasteQuerySet(models.QuerySet["Paste"]):
    """The questions that the pages ask."""

    def for_list(self) -> PasteQuerySet:
        """Add what a line of a list shows, the author and the number of replies; newest first."""
        # The model's own order does not hold in a query with GROUP BY.
        return self.select_related("author").annotate(reply_count=models.Count("replies")).order_by("-pk")

    def matching(self, text: str) -> PasteQuerySet:
        """Narrow to the pastes whose text contains ``text``, or whose author's name does."""
        return self.filter(models.Q(code__icontains=text) | models.Q(author__username__icontains=text))


class Paste(models.Model):
    """A text that anyone may read, and that may be a reply to another."""

    code = models.TextField("text", max_length=100_000)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="pastes", editable=False
    )
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="replies", verbose_name="in reply to"
    )
    created = models.DateTimeField(auto_now_add=True)

    objects = PasteQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"#{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("paste", args=[self.pk])

    @property
    def author_name(self) -> str:
        """The author's name as readers see it; a paste may have none."""
        return self.author.get_username() if self.author else "someone"
