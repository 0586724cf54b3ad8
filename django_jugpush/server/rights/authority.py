"""What the project's side answers about rights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from django_jugpush.core.control import ControlMessage
from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.publication import Publication

__all__ = ["Authority"]


class Authority(Protocol):
    """What the project's side answers. All but ``ask`` and ``find_changed`` are called on the event loop."""

    control_channel: str
    """The full name of the channel to follow."""

    def open_control(self, publication: Publication) -> ControlMessage | None:
        """Return the message that a publication holds; None if it is not the project's."""

    def resume_token(self, grant: Grant) -> str:
        """Return what brings a subscription back after a broken connection."""

    def renew_unasked(self, grant: Grant, *, now: float) -> Grant | None:
        """Return the grant as it goes on, or None if the project must be asked; raise if it cannot go on."""

    def ask(self, question: Question, *, after: str) -> Grant:
        """Decide; raise to refuse. ``after`` is the newest message that was known before."""

    def find_changed(self, connected: Mapping[tuple[str, str], Collection[str | None]]) -> list[ControlMessage]:
        """Return what Django has not told of these users, given the fingerprints of their grants."""
