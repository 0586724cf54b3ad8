"""What ``make demo`` runs: a database with users and pastes, the address and the logins, and Django's ``runserver``."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
USERS = ["ann", "bob", "cem"]
PASSWORD = "pastebin"

# Text, author, position of the parent in this list.
PASTES = [
    ("SELECT name FROM people\nWHERE born < 1970\nORDER BY name;", "bob", None),
    ("def mean(numbers):\n    return sum(numbers) / len(numbers)", "ann", None),
    ("def mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else 0.0", "cem", 1),
    ("Milk, bread, olives, and something for the cat.", None, None),
    ("from statistics import fmean as mean", "bob", 1),
    ("git log --oneline --since=yesterday", "cem", None),
]


def main() -> None:
    port = find_port(os.environ.get("PORT") or "8000")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
    sys.path[0] = str(HERE.parent)
    prepare_database()
    print(greeting(port), flush=True)
    os.execv(sys.executable, [sys.executable, str(HERE / "manage.py"), "runserver", f"{HOST}:{port}"])


def find_port(text: str) -> int:
    """Return the port if it can be used, else leave with a sentence that says what to do."""
    if not (text.isdecimal() and 0 < int(text) < 65536):
        sys.exit(f"PORT={text} is not a port: choose a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as error:
            sys.exit(
                f"Port {text} cannot be used ({error.strerror}). Choose another: make demo PORT={int(text) % 65535 + 1}"
            )
    return int(text)


def prepare_database() -> None:
    """Make the tables, users and pastes that are not there yet."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import transaction

    from django_jugpush import suppress_publishing

    call_command("migrate", verbosity=0)
    with transaction.atomic(), suppress_publishing():
        make_users()
        make_pastes()


def make_users() -> None:
    from django.contrib.auth.models import User

    for name in USERS:
        if not User.objects.filter(username=name).exists():
            User.objects.create_user(name, password=PASSWORD)


def make_pastes() -> None:
    from django.contrib.auth.models import User

    from testproject.pastebin.models import Paste

    if Paste.objects.exists():
        return
    pastes: list[Paste] = []
    for code, name, parent in PASTES:
        author = User.objects.get(username=name) if name else None
        pastes.append(Paste.objects.create(code=code, author=author, parent=None if parent is None else pastes[parent]))


def greeting(port: int) -> str:
    return f"""
  The pastebin is at   http://{HOST}:{port}/

  Log in as            {", ".join(USERS)} (password: {PASSWORD})
  Then                 log in as two of them, in two browsers or a private window, and reply to each other.
  From a shell         .venv/bin/python testproject/manage.py shell -c \\
                         'import django_jugpush as push; push.publish("banner", {{"text": "Hello, everybody"}})'
"""


if __name__ == "__main__":
    main()
