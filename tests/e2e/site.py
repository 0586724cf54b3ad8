"""A running pastebin: the server's process, its database, and other processes that write to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
MANAGE = str(ROOT / "testproject" / "manage.py")
PASSWORD = "correct horse"

SCRIPT = """
import json
import django
django.setup()
from django.contrib.auth.models import User
from django.db import transaction
import django_jugpush as push
from testproject.pastebin.models import Paste
"""


class Site:
    """``manage.py runserver`` on a free port with its own SQLite file; the port stays when it is started again."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "runserver.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
            "PASTEBIN_DATABASE": str(directory / "pastebin.sqlite3"),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        self.process: subprocess.Popen | None = None
        self.started = 0.0

    def prepare(self, users: list[str]) -> None:
        """Make the tables and the users."""
        subprocess.run([sys.executable, MANAGE, "migrate", "--verbosity=0"], env=self.environ, check=True)
        self.run(f"for name in {users!r}: User.objects.create_user(name, password={PASSWORD!r})")

    def start(self) -> None:
        """Start the server and return when it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, MANAGE, "runserver", "--noreload", f"127.0.0.1:{self.port}"],
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=heed_interrupts,
            )
        wait_until(self.answers, what=lambda: f"runserver to answer:\n{self.log.read_text()}")
        self.started = time.monotonic()

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        try:
            return urllib.request.urlopen(self.url, timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def stop(self) -> None:
        """Stop the server as Ctrl-C does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=10)
            finally:
                self.process.kill()
                self.process.wait()
                self.process = None

    def popen(self, code: str) -> subprocess.Popen:
        """Run Python code in another process of the project, with pipes to talk to it."""
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT + code],
            env=self.environ,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, code: str):
        """Run Python code in another process of the project; return what it prints, which is JSON, or None."""
        with self.popen(code) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, f"exit code {process.returncode} of:\n{code}"
        return json.loads(output) if output.strip() else None

    def paste(self, code: str, author: str | None = None, parent: int | None = None) -> int:
        """Save a paste in another process; return its number."""
        return self.run(
            f"author = User.objects.filter(username={author!r}).first()\n"
            f"print(Paste.objects.create(code={code!r}, author=author, parent_id={parent!r}).pk)"
        )


def heed_interrupts() -> None:
    """Undo what a shell does to programs in the background, when the tests are one: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition, *, what, pause=lambda milliseconds: time.sleep(milliseconds / 1000)) -> None:
    """Ask until the condition holds: for what cannot be waited for, such as another program's socket."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"Waited 30 s for {what()}"
        pause(20)
