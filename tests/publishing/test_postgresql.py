"""What holds for publishing on SQLite holds on PostgreSQL, where transactions run side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgresql_server import running_postgresql

HERE = Path(__file__).parent
OPTIONS = ["-q", "-p", "no:cacheprovider", "--no-migrations", "--ds=tests.settings_postgresql"]
SUITES = ["test_batch.py", "test_rows.py", "test_examples.py", "test_suppression.py", "on_postgresql.py"]


@pytest.fixture(scope="module")
def postgresql():
    with running_postgresql() as socket:
        yield socket


@pytest.mark.processes
def test_suites_pass_on_postgresql(postgresql):
    """In a process of their own, since a test run has one set of databases."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *(HERE / suite for suite in SUITES)],
        cwd=HERE.parent.parent,
        env=os.environ | {"POSTGRESQL_SOCKET": str(postgresql)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
