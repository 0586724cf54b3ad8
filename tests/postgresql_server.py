"""A real PostgreSQL of the test's own, reached by a Unix socket only."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


@contextlib.contextmanager
def running_postgresql() -> Iterator[Path]:
    """Start PostgreSQL and give the directory of its socket; skip on a laptop that has none, fail in CI."""
    programs = _find_programs()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    # Not tmp_path: PostgreSQL refuses to run as root, and another user cannot get there.
    directory = Path(tempfile.mkdtemp(prefix="jugpush-postgresql-"))
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        if user:
            shutil.chown(directory, "nobody")
        data = directory / "data"
        initdb = [programs / "initdb", "--auth=trust", "--username=tests", "--no-sync", "--encoding=UTF8", data]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=directory, **user)
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            **user,
        )
        try:
            _wait_until_it_answers(server, directory)
            yield directory
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for those who are connected
            server.wait(20)
    finally:
        shutil.rmtree(directory)


def _find_programs() -> Path | None:
    # Debian keeps them from PATH, as several versions may be installed.
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _wait_until_it_answers(server: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(psycopg.OperationalError):
            return psycopg.connect(host=str(directory), user="tests", dbname="postgres").close()
        assert server.poll() is None, "PostgreSQL ended at once"
        assert time.monotonic() < deadline, "PostgreSQL does not answer"
        time.sleep(0.02)
