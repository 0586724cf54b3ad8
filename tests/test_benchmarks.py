"""The benchmarks that drive the browser's client still do; what they measure is not the question here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redis_server import running_redis

ROOT = Path(__file__).resolve().parent.parent

SMALL = {
    "drop_test": ["--clients", "5", "--seconds", "3", "--rate", "5", "--away", "0.5"],
    "stampede": ["--pages", "20", "--rate", "20"],
}
"""What each is told, so that it takes a few seconds."""

SAYS = {"drop_test": "100.00%", "stampede": "0 of "}


@pytest.mark.processes
@pytest.mark.parametrize("name", SMALL)
def test_benchmark_runs(tmp_path, name):
    """With no client that is behind the modules it is made of."""
    with running_redis(tmp_path):
        pass  # skips where there is none
    if not shutil.which("node") or not (ROOT / "client/node_modules/ws").exists():
        pytest.skip("node and the client's development packages are not installed")
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name]]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    assert SAYS[name] in result.stdout
