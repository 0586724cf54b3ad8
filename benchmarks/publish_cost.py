"""
What a publication with history costs, against a bare PUBLISH of the same bytes.

Both go through connections of redis-py to one Redis of this script's own, in turn in one run, one at a time and a
hundred in one round trip: to one channel, to ten in turn, and each to another. ``PUBLISH`` sends what is on the wire
anyway, encoded beforehand; ``publish()`` is the whole broker: it encodes, numbers, keeps and publishes. First nobody
listens, then one process does, which throws away what it hears. Prints medians of wall time with their ratio, and the
processor time of publisher and Redis.

Run: ``python -m benchmarks.publish_cost``; it needs redis-server.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import redis
from hiredis import pack_command

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
        _measure(server.url, "Nobody listens")
        with _listener(server.url):
            _measure(server.url, "One listens")


def _measure(url: str, title: str) -> None:
    broker, client = RedisBroker(url), redis.Redis.from_url(url)
    for size in (128, 1024):
        publications = _publications(size, channels=10)
        payloads = [msgspec.json.encode(publication) for publication in publications]
        names = [broker.names.channel(publication.full_name) for publication in publications]
        published = list(zip(names, payloads, strict=True))

        def bare(published: list[tuple[str, bytes]] = published) -> None:
            for name, payload in published[:SINGLES]:
                client.publish(name, payload)

        def kept(publications: list[Publication] = publications) -> None:
            for publication in publications[:SINGLES]:
                broker.publish([publication])

        def bare_batch(published: list[tuple[str, bytes]] = published) -> None:
            pipeline = client.pipeline(transaction=False)
            for name, payload in published:
                pipeline.publish(name, payload)
            pipeline.execute()

        print(f"{title}, {size} bytes of data, {len(payloads[0])} with what else is in a publication:")
        _compare(client, SINGLES, {"PUBLISH": bare, "publish()": kept})
        batches: dict[str, Work] = {f"PUBLISH, {BATCH} in one go": bare_batch}
        for channels in CHANNELS:
            batches[f"publish(), {BATCH} to {channels} channels"] = partial(
                broker.publish, _publications(size, channels=channels)
            )
        _compare(client, BATCH, batches)


@contextlib.contextmanager
def _listener(url: str) -> Iterator[None]:
    """Have a process hear all channels, as a push server does with the connection that brings them."""
    listener = multiprocessing.get_context("spawn").Process(target=_listen, args=[url], daemon=True)
    listener.start()
    client = redis.Redis.from_url(url)
    channels = _names(RedisBroker(url))
    while not all(number for _, number in client.pubsub_numsub(*channels)):
        time.sleep(0.01)
    yield
    listener.kill()
    listener.join()


def _listen(url: str) -> None:
    address = urlsplit(url)
    assert address.hostname and address.port
    with socket.create_connection((address.hostname, address.port)) as connection:
        # Unparsed: what it costs a push server to understand it is not the question here.
        connection.sendall(pack_command(("SUBSCRIBE", *_names(RedisBroker(url)))))
        while connection.recv(1 << 20):
            pass


def _names(broker: RedisBroker) -> list[str]:
    return sorted({broker.names.channel(one.full_name) for one in _publications(2, channels=BATCH)})


def _publications(size: int, *, channels: int) -> list[Publication]:
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
