"""``python -m benchmarks.drop_test``."""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import systems
from .run import Figures, Load, run

COLUMNS = (
    ("delivered", lambda figures: f"{figures.delivered:.2%}"),
    ("lost", lambda figures: f"{figures.lost:,}"),
    ("clients with a loss", lambda figures: f"{figures.incomplete:,}"),
    ("twice", lambda figures: f"{figures.duplicates:,}"),
    ("out of order", lambda figures: f"{figures.disordered:,}"),
    ("recovered", lambda figures: f"{figures.recovered:,} of {figures.returns:,}"),
    ("p50 ms", lambda figures: f"{figures.p50:,}"),
    ("p99 ms", lambda figures: f"{figures.p99:,}"),
    ("server µs", lambda figures: f"{figures.server_cpu:.1f}"),
    ("redis µs", lambda figures: f"{figures.redis_cpu:.1f}"),
    ("clients µs", lambda figures: f"{figures.clients_cpu:.1f}"),
)
"""Head and text of each column; CPU is per delivery."""


def main() -> None:
    options = parse()
    load = Load(
        clients=options.clients, seconds=options.seconds, rate=options.rate, away=options.away, seed=options.seed
    )
    with contextlib.ExitStack() as stack:
        contestants: list[systems.System] = [systems.Jugpush(with_redis=options.broker == "redis")]
        if options.peers is not None:
            folder = Path(options.peers or stack.enter_context(tempfile.TemporaryDirectory()))
            contestants += [systems.Channels(folder), systems.SocketIO(folder)]
        for system in contestants:
            system.install()
        print(f"{load}, seed {load.seed}")
        rows = [["", *(head for head, _ in COLUMNS)]]
        for system in contestants:
            rows.append([system.title(), *row(run(system, load))])
            print(f"  {system.title()}: done", flush=True)
    print_table(rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drop_test")
    add = parser.add_argument
    add("--clients", type=int, default=1000)
    add("--seconds", type=int, default=20, help="how long is published (default: %(default)s)")
    add("--rate", type=float, default=20, help="publications a second (default: %(default)s)")
    add("--away", type=float, default=2, help="seconds for which each client is cut off (default: %(default)s)")
    add("--seed", type=int, default=random.randrange(2**31), help="of the moments of the cuts")
    add("--broker", choices=("redis", "local"), default="redis", help="of django-jugpush (default: %(default)s)")
    add(
        "--peers",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="run the peers too; they are installed in a temporary folder, or in this one unless they are there",
    )
    options = parser.parse_args()
    if options.seconds < options.away + 2:
        parser.error("--seconds must be at least two more than --away")
    return options


def row(figures: Figures) -> list[str]:
    return [text(figures) for _, text in COLUMNS]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print(
            name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)), sep="  "
        )


if __name__ == "__main__":
    main()
