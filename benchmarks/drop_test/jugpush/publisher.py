"""Publishes as a view or a task does."""

from __future__ import annotations

import django

from benchmarks.drop_test.pace import publications


def main() -> None:
    django.setup()

    import django_jugpush as push

    push.publish("nobody", None)  # the first imports and connects
    for data in publications():
        push.publish("news", data, raise_on_error=True)


if __name__ == "__main__":
    main()
