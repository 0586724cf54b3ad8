"""
What a Redis that forgets everything makes of many pages: how many ask the site again in each second.

Real push servers, a real Redis, and a WebSocket for each page, which waits as the browser's client does: it has a copy
of that module, and a channel, of its own. Then comes FLUSHALL. The second line is the same news taken by clients that
wait for a random part of the time that they are told.

Run: ``python -m benchmarks.stampede [--pages 5000] [--servers 1] [--rate 50]``, with redis-server and node on the PATH,
after ``npm ci --prefix client``. It takes a little longer than pages / rate seconds. ``--rate`` is REFRESH_RATE, which
servers share. Each page takes an open file of its server and one of node: see ``ulimit -n``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.drop_test.processes import Process, free_port, running_redis

CLIENTS = Path(__file__).resolve().parent / "clients.mjs"


def main() -> None:
    parser = argparse.ArgumentParser(description="Count who asks again when Redis has lost its data.")
    parser.add_argument("--pages", type=int, default=5000)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--rate", type=int, default=50, help="REFRESH_RATE")
    options = parser.parse_args()
    figures = run(options.pages, options.servers, options.rate)
    print(f"{options.pages:,} pages on {options.servers} server(s), REFRESH_RATE {options.rate}:")
    for name, key in (("in turn", "asked"), ("by chance", "byChance")):
        print(f"  {name:10} {describe(figures[key], options.rate)}")


def run(pages: int, servers: int, rate: int) -> dict[str, list[int]]:
    """Have it happen; return when each page asked, in milliseconds."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis(Path(directory)))
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "benchmarks.stampede.settings",
            "STAMPEDE_REDIS": f"redis://127.0.0.1:{redis.port}/0",
            "STAMPEDE_RATE": str(rate),
        }
        ports = [free_port() for _ in range(servers)]
        for port in ports:
            server = Process([sys.executable, "-m", "django", "juggernaut", "--port", str(port)])
            stack.enter_context(server).wait_for_port(port)
        urls = [f"ws://127.0.0.1:{port}/juggernaut/websocket?protocol=1" for port in ports]
        clients = stack.enter_context(Process(["node", CLIENTS, str(pages), *urls]))
        clients.expect("here", 300)
        publish(pages)
        clients.expect("ready")
        flush(redis.port)
        began = time.monotonic()
        clients.say("flushed")
        clients.expect("told", 120)
        print(f"All were told within {time.monotonic() - began:.1f} s.", flush=True)
        answer: dict[str, list[int]] = json.loads(clients.read_line(2 * pages / rate + 60))
        return answer


def publish(pages: int) -> None:
    """Publish something to each page, so that there is something to lose."""
    import django

    django.setup()

    import django_jugpush as push

    for number in range(pages):
        push.publish(f"page:{number}", number, raise_on_error=True)


def flush(port: int) -> None:
    import redis

    with redis.Redis(port=port) as client:
        client.flushall()


def describe(moments: list[int], rate: int) -> str:
    """Say how busy the seconds were: those of the clock, and any thousand milliseconds."""
    first = min(moments)
    seconds = Counter((moment - first) // 1000 for moment in moments)
    over = sum(count > 1.2 * rate for count in seconds.values())
    busiest = busiest_window(moments)
    return (
        f"busiest second {max(seconds.values())}, busiest 1000 ms {busiest} ({busiest / rate:.2f} of REFRESH_RATE), "
        f"{over} of {len(seconds)} seconds above 1.2 of it, the last after {(max(moments) - first) / 1000:.0f} s"
    )


def busiest_window(moments: Iterable[int]) -> int:
    """Return how many there are at most in any thousand milliseconds."""
    ordered = sorted(moments)
    start = best = 0
    for end, moment in enumerate(ordered):
        while ordered[start] <= moment - 1000:
            start += 1
        best = max(best, end - start + 1)
    return best


if __name__ == "__main__":
    main()
