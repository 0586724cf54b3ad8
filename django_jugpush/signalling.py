"""Tells the project's receivers what clients do, in the push server's process but off its event loop."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from typing import Any

import msgspec
from django.contrib.auth import get_user_model
from django.db import close_old_connections, connections

from .core.notices import Notice
from .server.app import PushServer
from .signals import client_event, client_subscribed, client_unsubscribed

__all__ = ["MAX_WAITING", "SignalSender"]

logger = logging.getLogger(__name__)

MAX_WAITING = 1000
"""Notices that wait for slow receivers at most. What comes then is lost; a client's event is answered with a code."""

STOP_TIMEOUT = 5.0
"""Seconds that receivers have for what is left when the server stops."""

_SIGNALS = {"subscribe": client_subscribed, "unsubscribe": client_unsubscribed, "custom": client_event}


class SignalSender:
    """
    Sends a signal for each notice, one after the other, in a thread that starts with the first.

    What a receiver raises is logged by Django, and the next one is called.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[Notice | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._lost = 0

    async def start(self) -> None:
        """Do nothing: a project without receivers needs no thread."""

    async def stop(self) -> None:
        """Let the receivers take what is left."""
        if self._thread:
            await asyncio.to_thread(self._finish, self._thread)
            self._thread = None

    def take(self, notice: Notice) -> bool:
        """Queue a notice that has receivers."""
        if not _SIGNALS[notice.kind].has_listeners(PushServer):
            return True
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self._lost += 1
            if self._lost == 1:
                logger.error("Receivers of the client_… signals are too slow: what clients do is lost from here on.")
            return False
        if self._lost:
            logger.warning("Receivers of the client_… signals keep up again; %d signals were lost.", self._lost)
            self._lost = 0
        if self._thread is None:
            # A daemon: a receiver that hangs must not keep the process alive.
            self._thread = threading.Thread(target=self._send_for_ever, name="jugpush-signals", daemon=True)
            self._thread.start()
        return True

    def _finish(self, thread: threading.Thread) -> None:
        try:
            self._queue.put(None, timeout=STOP_TIMEOUT)
        except queue.Full:
            return
        thread.join(STOP_TIMEOUT)

    def _send_for_ever(self) -> None:
        while (notice := self._queue.get()) is not None:
            close_old_connections()
            try:
                _send(notice)
            except Exception:
                logger.exception("A signal could not be sent.")
            close_old_connections()
        connections.close_all()


def _send(notice: Notice) -> None:
    arguments: dict[str, Any] = {
        "client": notice.client,
        "user_pk": _user_pk(notice.user),
        "namespace": notice.namespace,
        "meta": _given(notice.meta),
    }
    if notice.kind == "custom":
        arguments["data"] = _given(notice.data)
    else:
        arguments["channel"] = notice.channel
    _SIGNALS[notice.kind].send_robust(sender=PushServer, **arguments)


def _user_pk(text: str | None) -> Any:
    return None if text is None else get_user_model()._meta.pk.to_python(text)


def _given(value: Any) -> Any:
    return None if value is msgspec.UNSET else value
