"""What a push server must know of rights: what a grant is worth, at the moment it is given and from then on."""

from __future__ import annotations

from collections.abc import Sequence

from django_jugpush.core.grants import Grant, Question
from django_jugpush.core.publication import Publication
from django_jugpush.core.session import Session
from django_jugpush.exceptions import TokenExpired

__all__ = ["RenderAgain", "Rights", "RightsUnknown"]


class RightsUnknown(Exception):
    """What happens to logins and rights is not heard, so nothing can be granted for the time being."""


class RenderAgain(TokenExpired):
    """Only the page, rendered again, can show that the right is still there."""

    def __init__(self, detail: str, *, spread: int | None) -> None:
        super().__init__(detail)
        self.spread = spread
        """Milliseconds, if very many have to be; None if it is this one's own matter."""


class Rights:
    """
    Who may listen, and who may still.

    Of itself, a right lasts as long as its subscription: what a token grants is given, nothing is revoked or renewed,
    and there is no project that could be asked.
    """

    @property
    def is_blind(self) -> bool:
        """Whether nothing that a token grants is given."""
        return False

    @property
    def waiting(self) -> int:
        """How many questions to the project wait."""
        return 0

    # Life

    async def start(self) -> None:
        """Begin to learn what happens to rights; return when all of it is known, or soon."""

    async def stop(self) -> None:
        """Ask nothing more."""

    def tick(self) -> None:
        """Let time pass."""

    def tick_session(self, session: Session) -> None:
        """Renew what a session has to renew."""

    # What is told

    def take(self, publications: Sequence[Publication]) -> Sequence[Publication]:
        """Take what tells of rights; return the rest."""
        return publications

    def subscribed(self, session: Session, grant: Grant) -> None:
        """Take note of a subscription that has started."""

    def ended(self, session: Session) -> None:
        """Take note that a session is no more."""

    # What a subscription rests on

    def checked(self, answer: Grant | Question) -> Grant | Question:
        """
        Return what a token grants after all that is known; or the question that somebody must answer first.

        Raises:
            RightsUnknown: If nothing is known at the moment.
            SubscriptionDenied: If the login has ended.
            TokenExpired: If the page must be rendered again.
        """
        return answer

    async def ask(self, question: Question) -> Grant:
        """
        Have a question answered.

        Raises:
            Exception: What :meth:`checked` and the project raise, or that there is no answer in time.
        """
        raise NotImplementedError("there is no project to ask")

    def is_good(self, grant: Grant) -> bool:
        """Tell whether a subscription may start that was granted a moment ago."""
        return True

    def with_past(self, session: Session, grant: Grant) -> Grant:
        """Return the grant with what its session could read of the past when it was stopped a moment ago."""
        return grant

    def resume_token(self, grant: Grant) -> str | None:
        """Return what brings a subscription back; None if nothing is needed for that."""
        return None

    def renew_id(self) -> str | None:
        """Return what a client hands on when it fetches its page again."""
        return None
