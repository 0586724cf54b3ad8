"""
Being the one push server of a project that has no Redis.

A publication is then posted to a process, and only the clients of that process hear of it. So of all processes that
could be the push server one is, and the others send clients away and say that they are not ready.
"""

from __future__ import annotations

import atexit
import logging
import socket
from pathlib import Path

from . import rendezvous
from .server.listener import Listener
from .server.types import ASGIApplication

__all__ = ["LocalClaim"]

logger = logging.getLogger(__name__)


class LocalClaim:
    """
    A lock, which the system takes away when the process ends, however it ends; and what goes with it.

    Who has it listens for publications on the loopback as well, at an address that is left where the project's Django
    processes look for it: the port that clients see may be another worker's just as well.
    """

    def __init__(self, endpoint: ASGIApplication, *, path: str) -> None:
        self._endpoint = endpoint
        self._path = path
        self._lock: rendezvous.Lock | None = None
        self._listener: Listener | None = None
        self._announcement: Path | None = None
        self._has_complained = False

    async def take(self) -> bool:
        """
        Try to get the lock; if it is had, begin to listen.

        Raises:
            OSError: If there can be no lock, or nothing to listen on.
        """
        self._lock = rendezvous.take_lock()
        if self._lock is None:
            self._complain()
            return False
        try:
            await self._open()
        except OSError:
            await self.give_up()
            raise
        return True

    async def give_up(self) -> None:
        """Close the listener, then let others have the lock."""
        if self._announcement:
            rendezvous.withdraw(self._announcement)
        if self._listener:
            await self._listener.stop()
        if self._lock:
            self._lock.close()

    async def _open(self) -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        self._listener = Listener(self._endpoint, sock)
        await self._listener.start()
        self._announcement = rendezvous.announce(f"http://127.0.0.1:{sock.getsockname()[1]}{self._path}")
        atexit.register(rendezvous.withdraw, self._announcement)

    def _complain(self) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning(
                "Another process is the push server of this project, so this one takes no clients for now. Without a "
                "Redis in JUGPUSH['BROKER'] there can be only one: start one worker, or one `manage.py juggernaut`."
            )
