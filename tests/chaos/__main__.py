"""A long run: ``make chaos SECONDS=600``, or ``python -m tests.chaos SECONDS [SEED]``; a third of it each."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from .world import Memory, run


def main(seconds: float, seed: int) -> int:
    failed = False
    for memory in Memory:
        print(f"{memory.value}; seed {seed}", flush=True)
        with tempfile.TemporaryDirectory() as directory:
            outcome = run(
                Path(directory),
                seconds=seconds / len(Memory),
                seed=seed,
                size=300,
                rate=100,
                memory=memory,
                say=lambda text: print(text, flush=True),
            )
        print(
            f"{len(outcome.events)} happenings, {outcome.published} publications, {outcome.received} received, "
            f"{outcome.told} times a gap was told of\n{outcome.faults or 'no faults'}",
            flush=True,
        )
        failed = failed or bool(outcome.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)))
