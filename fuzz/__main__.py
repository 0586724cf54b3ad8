"""``python -m fuzz``: every target in turn."""

from __future__ import annotations

import argparse
import os
import random

import django


def main() -> None:
    """Run the targets; the exit code is 1 if the contract does not hold."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, of all targets together")
    parser.add_argument("--seed", type=int, default=None, help="what a run before has printed, to repeat it")
    parser.add_argument("targets", nargs="*", help="all of them unless said")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from .run import SHARES, Broken, fuzz

    seed = random.SystemRandom().randrange(10**9) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    targets = arguments.targets or list(SHARES)
    for target in targets:
        share = SHARES[target] / sum(SHARES[name] for name in targets)
        try:
            print(fuzz(target, inputs=int(arguments.inputs * share), seed=seed), flush=True)
        except Broken as broken:
            raise SystemExit(f"seed {seed}: {broken}") from broken


if __name__ == "__main__":
    main()
