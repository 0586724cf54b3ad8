"""Processes that are started, spoken to by lines, measured and stopped."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
"""The repository: where everything is run."""

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A child that ends with the ``with`` block; what it says on its standard error is shown."""

    port = 0
    """Where it listens, if it does."""

    def __init__(self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        self.name = " ".join(map(str, command))[:120]
        self._process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")

    def expect(self, line: str, seconds: float = 60) -> None:
        """Wait until the child says ``line``."""
        said = self.read_line(seconds)
        if said != line:
            sys.exit(f"{self.name}\nsaid {said!r} in the place of {line!r}.")

    def read_line(self, seconds: float) -> str:
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            sys.exit(f"{self.name}\nsaid nothing for {seconds:g} seconds.")

    def wait_for_port(self, port: int, seconds: float = 20) -> None:
        """Wait until the child listens."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.name}\ndoes not listen on port {port}.")
            time.sleep(0.05)

    def cpu(self) -> float:
        """Return the seconds that the child's threads have computed, in user and system mode."""
        # proc(5): the fields after the name, which is in parentheses, begin with the third; utime and stime are 14, 15.
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))


def running_redis(directory: Path) -> Process:
    """Start a redis-server on a free port, with nothing on disk."""
    if not shutil.which("redis-server"):
        sys.exit("redis-server is not installed.")
    port = free_port()
    redis = Process(
        [
            *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory),
            *("--save", "", "--loglevel", "warning"),
        ]
    )
    redis.wait_for_port(port)
    redis.port = port
    return redis


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
