"""
What a registered model costs a test suite: saves in one transaction, with the dummy broker that tests have.

The same model is saved without receivers (``plain``), and with them (``registered``), when each save makes a
publication at the commit. Both run in one process and in turn, so that noise hits them alike. Prints medians of CPU
time and their ratio. A model that is not registered has no receivers at all, so it is ``plain`` by construction.

Run: ``python -m benchmarks.save_overhead``
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict

import django
from django.conf import settings

SAVES = 200
ROUNDS = 60


def main() -> None:
    settings.configure(
        INSTALLED_APPS=["django_jugpush", "django.contrib.auth", "django.contrib.contenttypes"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        JUGPUSH={"BROKER": "dummy://"},
        USE_TZ=True,
    )
    django.setup()

    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import transaction

    import django_jugpush as push
    from django_jugpush.publishing import receivers, registry
    from django_jugpush.testing import capture_publications

    call_command("migrate", verbosity=0)

    @push.register(Group)
    class GroupPush(push.ModelPush):  # type: ignore[type-arg]
        fields = ["name"]

    def cpu_per_save() -> tuple[float, int]:
        began = time.process_time()
        with capture_publications() as publications, transaction.atomic():
            for number in range(SAVES):
                Group(name=f"group {number}").save(force_insert=True)
        seconds = time.process_time() - began
        Group.objects.all()._raw_delete("default")
        return seconds / SAVES * 1e6, len(publications)

    figures = defaultdict(list)
    for _ in range(ROUNDS):
        receivers.disconnect(registry.bindings[Group])
        plain, published = cpu_per_save()
        assert published == 0
        receivers.connect(registry.bindings[Group])
        registered, published = cpu_per_save()
        assert published == SAVES
        figures["plain"].append(plain)
        figures["registered"].append(registered)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, median in medians.items():
        print(f"{name:>10}: {median:6.1f} µs a save (min {min(figures[name]):.1f})")
    print(f"     ratio: {medians['registered'] / medians['plain']:.2f}")


if __name__ == "__main__":
    main()
