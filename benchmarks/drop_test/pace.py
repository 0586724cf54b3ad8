"""When to publish what: the same for all systems that publish from Python."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator


def publications() -> Iterator[dict[str, float]]:
    """Say that all is ready, wait to be told to go, and give each publication's data when its time has come."""
    count, rate = int(sys.argv[1]), float(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0, began + number / rate - time.monotonic()))
        yield {"number": number, "at": time.time() * 1000}
    print("done", flush=True)
