"""Waiting for what announces itself to nobody: another thread's doing, or another program's."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which what is waited for is not coming: the machine may be busy."""


def wait_until(is_so: Callable[[], object]) -> None:
    """Ask again and again, until the answer is yes; fail if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
