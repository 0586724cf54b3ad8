"""
Messages to push servers that the broker did not take: sent again until it does.

A publication may be lost, and the page says so. A revocation may not: whoever was shut out would stay.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django_jugpush.core.control import CONTROL_CHANNEL, CONTROL_HISTORY
from django_jugpush.core.publication import Publication
from django_jugpush.signals import publish_failed

__all__ = ["HandOver", "Unsent", "connect"]

logger = logging.getLogger("django_jugpush.access")

FIRST_PAUSE = 0.1
"""Seconds until the first attempt; doubled with each."""

LONGEST_PAUSE = 10.0

MAX_UNSENT = 10_000
"""As many as the stream keeps."""

HandOver = Callable[[Sequence[Publication]], None]
"""Hands publications to the broker, or raises."""


class Unsent:
    """What waits, and the thread that sends it, which is there only while something waits."""

    def __init__(self, hand_over: HandOver) -> None:
        self.count = 0
        """How many messages the broker did not take at first, since the start."""
        self._hand_over = hand_over
        self._waiting: dict[str, tuple[float, Publication]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self._waiting)

    def receive(self, sender: object, publications: Sequence[Publication], error: Exception, **kwargs: Any) -> None:
        """Take what could not be published: the signal's receiver."""
        messages = [one for one in publications if one.channel == CONTROL_CHANNEL and one.id not in self._waiting]
        if not messages:
            return
        logger.error("%d messages about logins and rights are not sent yet: %s", len(messages), error)
        with self._lock:
            self.count += len(messages)
            for message in messages[: MAX_UNSENT - len(self._waiting)]:
                self._waiting[message.id] = time.monotonic(), message
            if self._thread is None or self._process != os.getpid():  # a fork inherits no threads
                self._process = os.getpid()
                self._thread = threading.Thread(target=self._send_all, name="jugpush-revocations", daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """Try once more, at the end of the process."""
        if self._waiting and self._process == os.getpid():
            self._send_once()

    def _send_all(self) -> None:
        pause = FIRST_PAUSE
        while True:
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self._send_once()
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return

    def _send_once(self) -> None:
        oldest = time.monotonic() - CONTROL_HISTORY[1]  # after which they mean nothing
        with self._lock:
            self._waiting = {id: entry for id, entry in self._waiting.items() if entry[0] > oldest}
            messages = [message for _, message in self._waiting.values()]
        if not messages:
            return
        try:
            self._hand_over(messages)
        except Exception:  # what is wrong has been logged, and is another time
            return
        logger.warning("%d messages about logins and rights are sent after all.", len(messages))
        with self._lock:
            for message in messages:
                self._waiting.pop(message.id, None)


def connect(hand_over: HandOver) -> None:
    """Look after what cannot be sent. Called once, when the apps are ready."""
    unsent = Unsent(hand_over)
    publish_failed.connect(unsent.receive, weak=False, dispatch_uid="django_jugpush.access.unsent")
    atexit.register(unsent.finish)
