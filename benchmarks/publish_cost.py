"""
What a publication with history costs, against a bare PUBLISH of the same bytes.

Both go through connections of redis-py to one Redis of this script's own, in turn in one run, one at a time and a
hundred in one round trip: to one channel, to ten in turn, and each to another. ``PUBLISH`` sends what is on the wire
anyway, encoded beforehand; ``publish()`` is the whole broker: it encodes, numbers, keeps and publishes. Prints medians
of wall time with their ratio, and the processor time of both sides.

Run: ``python -m benchmarks.publish_cost``; it needs redis-server.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import redis

from django_jugpush.brokers.redis import RedisBroker
from django_jugpush.core.publication import Publication
from tests.redis_server import running_redis

Work = Callable[[], None]

ROUNDS = 300
SINGLES = 20
BATCH = 100
CHANNELS = (1, 10, BATCH)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, running_redis(Path(directory)) as server:
        broker = RedisBroker(server.url)
        client = redis.Redis.from_url(server.url)
        for size in (128, 1024):
            publications = _publications(size, BATCH)
            payloads = [msgspec.json.encode(publication) for publication in publications]

            def bare(client: redis.Redis = client, payloads: list[bytes] = payloads) -> None:
                for payload in payloads[:SINGLES]:
                    client.publish("bench:0:c:1", payload)

            def kept(publications: list[Publication] = publications) -> None:
                for publication in publications[:SINGLES]:
                    broker.publish([publication])

            def bare_batch(client: redis.Redis = client, payloads: list[bytes] = payloads) -> None:
                pipeline = client.pipeline(transaction=False)
                for payload in payloads:
                    pipeline.publish("bench:0:c:1", payload)
                pipeline.execute()

            print(f"{size} bytes of data, {len(payloads[0])} with what else is in a publication:")
            _compare(client, SINGLES, {"PUBLISH": bare, "publish()": kept})
            batches: dict[str, Work] = {f"PUBLISH, {BATCH} in one go": bare_batch}
            for channels in CHANNELS:
                batch = _publications(size, channels)
                batches[f"publish(), {BATCH} to {channels} channels"] = partial(broker.publish, batch)
            _compare(client, BATCH, batches)


def _publications(size: int, channels: int) -> list[Publication]:
    data = msgspec.Raw(b'"%s"' % (b"x" * (size - 2)))
    return [
        Publication(id=f"publication-{number:04}", channel=f"c{number % channels}", namespace="bench", data=data)
        for number in range(BATCH)
    ]


def _compare(client: redis.Redis, number: int, works: dict[str, Work]) -> None:
    """Do all in turn, and print what one publication takes; the first is what the others are compared with."""
    wall: dict[str, list[float]] = {name: [] for name in works}
    cpu = dict.fromkeys(works, 0.0)
    for _ in range(ROUNDS):
        for name, work in works.items():
            cpu_before, began = _cpu(client), time.perf_counter()
            work()
            wall[name].append((time.perf_counter() - began) / number * 1e6)
            cpu[name] += (_cpu(client) - cpu_before) / number / ROUNDS * 1e6
    medians = {name: statistics.median(taken) for name, taken in wall.items()}
    first = next(iter(works))
    for name in works:
        print(
            f"  {name:>30}: {medians[name]:5.1f} µs, {medians[name] / medians[first]:4.2f} times;"
            f" at best {min(wall[name]):5.1f}; of processors {cpu[name]:5.1f}"
        )


def _cpu(client: redis.Redis) -> float:
    """Return the seconds of processor time that this process and its Redis have taken."""
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"]) + time.process_time()


if __name__ == "__main__":
    main()
