"""What a grant is worth, after all that is known."""

from __future__ import annotations

from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.hub import Hub
from django_jugpush.core.revocation import Revocations, Verdict
from django_jugpush.exceptions import SubscriptionDenied

from .base import RenderAgain, RightsUnknown

__all__ = ["Judge"]


class Judge:
    """Says of a grant what it is worth. Of public ones, always all."""

    def __init__(self, hub: Hub) -> None:
        self.revocations = Revocations()
        self.is_blind = True
        """Whether nothing is heard of rights, so that only public grants are worth anything."""
        self._hub = hub

    def verdict(self, grant: Grant) -> Verdict:
        """Say what a running subscription's grant is worth."""
        if self.is_blind and not grant.is_public:
            return Verdict.ASK
        return self.revocations.verdict(grant)

    def checked(self, answer: Grant | Question) -> Grant | Question:
        """Return or raise what :meth:`.base.Rights.checked` does."""
        grant = answer.grant if isinstance(answer, Question) else answer
        if grant.is_public:
            return answer
        if self.is_blind:
            raise RightsUnknown
        match self.revocations.verdict(grant):
            case Verdict.FINE:
                return answer
            case Verdict.ENDED:
                raise SubscriptionDenied("the login has ended")
            case Verdict.RENDER:
                detail = "the login, or the user's password or flags, may have changed since"
                raise RenderAgain(detail, spread=self._spread(grant))
            case Verdict.ASK:
                return answer if isinstance(answer, Question) else Question(grant=grant, reason="reauthorization")

    @property
    def renew_id(self) -> str | None:
        """What a client hands on when it fetches its page again: whoever renders it then knows of that message."""
        return self.revocations.newest or None

    def _spread(self, grant: Grant) -> int | None:
        is_unknown = (grant.issued or 0.0) < self.revocations.known_since
        return self._hub.gap_spread() if is_unknown else None
