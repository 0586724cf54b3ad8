"""How a client is received: whether it may come in, and the session that it gets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import parse_qsl

from django_jugpush.core.clients import is_client_id, make_client_id
from django_jugpush.core.codes import DisconnectCode
from django_jugpush.core.session import Session

from .config import ServerConfig
from .counts import Counts
from .refusals import RefusalLog
from .types import OriginAllowed, Scope

__all__ = ["Handshake"]

logger = logging.getLogger(__name__)


class Handshake:
    """
    Begins sessions, for every transport in the same way: by the query and the headers of a request.

    Args:
        config: What sessions are like.
        counts: Takes notes for operators.
        origin_allowed: Tells whether a page may connect.
        clock: Seconds since any moment.
    """

    def __init__(
        self, config: ServerConfig, counts: Counts, *, origin_allowed: OriginAllowed, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._counts = counts
        self._origin_allowed = origin_allowed
        self._clock = clock
        self._refusals = RefusalLog(logger, clock)

    def make_session(self, scope: Scope) -> tuple[Session, str]:
        """
        Return a session for a client whose request is ``scope``, and the protocol that it asks for; :meth:`greet` it
        next.
        """
        query = _query(scope)
        client = query.get("client", "")
        session = Session(
            client=client if is_client_id(client) else make_client_id(),
            max_message_size=self._config.max_message_size,
            max_subscriptions=self._config.max_subscriptions,
            ping_interval=self._config.ping_interval,
            explain=self._config.explain,
            public_events=self._config.public_events,
        )
        return session, query.get("protocol", "")

    def greet(
        self, session: Session, scope: Scope, *, protocol: str, place: float, refusal: DisconnectCode | None
    ) -> None:
        """
        Greet a client, or send it away: because of ``refusal``, or of what its request is.

        ``place`` is its place among all clients, from 0 to 1.

        Refused clients have a session as well: only a word that arrives tells a browser not to try again.
        """
        if refusal is not None:
            session.disconnect(refusal)  # without a spread, or it would come back here at once
        elif not self._is_origin_allowed(scope):
            session.disconnect(DisconnectCode.ORIGIN_DENIED)
        else:
            session.connect(protocol, now=self._clock(), place=place)
        if session.code is not None:
            self._counts.refused[session.code] += 1

    def _is_origin_allowed(self, scope: Scope) -> bool:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin")
        scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        is_allowed = self._origin_allowed(origin, scheme=scheme, headers=headers)
        if not is_allowed:
            self._refusals.add(DisconnectCode.ORIGIN_DENIED, origin or "")
        return is_allowed


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20))
    except ValueError:
        return {}
