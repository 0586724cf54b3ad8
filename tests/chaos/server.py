"""The push servers of these tests, and what a broker is to them and to the publisher."""

from __future__ import annotations

import hmac
import os
import signal
import subprocess
import sys
from pathlib import Path

from django_jugpush.brokers.local import LocalBroker
from tests.e2e.site import ROOT, free_port

__all__ = ["Server"]

# As derived_keys("publish") would make it of the servers' settings; here Django has others, or none.
KEY = hmac.digest(b"chaos", b"django_jugpush\0chaos\0publish", "sha256")


class Server:
    """One ``manage.py juggernaut``, always on the same port; without a ``broker`` it is the broker itself."""

    def __init__(self, broker: str | None, log: Path) -> None:
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/juggernaut/websocket?protocol=1"
        self._broker = broker
        self._log = log
        self.start()

    def start(self) -> None:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
            "CHAOS_BROKER": self._broker or "",
        }
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "django", "juggernaut", "--port", str(self.port), "--drain-timeout", "2"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(20)

    def make_broker(self) -> LocalBroker:
        """Return what publishes to a server that is the broker."""
        return LocalBroker(f"http://127.0.0.1:{self.port}/juggernaut/", keys=[KEY], find=list)
