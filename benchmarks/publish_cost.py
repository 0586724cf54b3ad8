"""
What a publication with history costs, against a bare PUBLISH of the same bytes.

Both go through connections of redis-py to one Redis of this script's own, in turn in one run, one at a time and a
hundred in one round trip. ``PUBLISH`` sends what is on the wire anyway, encoded beforehand; ``publish()`` is the whole
broker: it encodes, numbers, keeps and publishes. Prints medians of wall time and their ratio.

Run: ``python -m benchmarks.publish_cost``; it needs redis-server.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import redis

from django_jugpush.brokers.redis import RedisBroker
from django_jugpush.core.publication import Publication
from tests.redis_server import running_redis

ROUNDS = 300
SINGLES = 20
BATCH = 100
CHANNELS = 10


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, running_redis(Path(directory)) as server:
        broker = RedisBroker(server.url)
        client = redis.Redis.from_url(server.url)
        for size in (128, 1024):
            publications = [_publication(number, size) for number in range(BATCH)]
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

            def kept_batch(publications: list[Publication] = publications) -> None:
                broker.publish(publications)

            print(f"{size} bytes of data, {len(payloads[0])} with what else is in a publication:")
            _compare("one at a time", bare, kept, SINGLES)
            _compare(f"{BATCH} in one go", bare_batch, kept_batch, BATCH)


def _publication(number: int, size: int) -> Publication:
    data = msgspec.Raw(b'"%s"' % (b"x" * (size - 2)))
    return Publication(id=f"publication-{number:04}", channel=f"c{number % CHANNELS}", namespace="bench", data=data)


def _compare(name: str, bare: Callable[[], None], kept: Callable[[], None], number: int) -> None:
    times: dict[Callable[[], None], list[float]] = {bare: [], kept: []}
    for _ in range(ROUNDS):
        for work, taken in times.items():
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) / number * 1e6)
    for how, measure in (("median", statistics.median), ("best", min)):
        before, after = (measure(taken) for taken in times.values())
        print(
            f"  {name:>15}, {how:>6}: PUBLISH {before:6.1f} µs, publish() {after:6.1f} µs, ratio {after / before:.2f}"
        )


if __name__ == "__main__":
    main()
