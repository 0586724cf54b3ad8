"""Who knows whom: the package's rooms, and what each may import. What is absent is on purpose."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import django_jugpush

PACKAGE = "django_jugpush"
ROOT = Path(django_jugpush.__file__).parent

HALVES_MEET = {"apps", "asgi", "management"}
"""Put the halves together, so they may import everything but what is for tests."""

TABLE = {
    # room: (rooms of ours, packages of others)
    "__init__": ("access declarations publishing targets", ""),
    "exceptions": ("", ""),
    "signals": ("", "django"),
    "core": ("exceptions", "msgspec"),
    "brokers": ("core exceptions", "hiredis msgspec redis"),
    "conf": ("exceptions", "django"),
    "targets": ("conf core exceptions", "django"),
    "declarations": ("conf core exceptions", "asgiref django"),
    "middleware": ("access", "asgiref asyncio django"),
    "access": ("brokers conf core declarations exceptions signals targets", "asgiref django msgspec"),
    "publishing": ("brokers conf core declarations exceptions rendezvous signals targets", "asgiref django msgspec"),
    "html": ("access conf targets", "django"),
    "jinja": ("access html", "django jinja2"),
    "templatetags": ("access core exceptions html", "django"),
    "discovery": ("declarations publishing", "django"),
    "checks": ("access brokers conf declarations discovery publishing", "django"),
    "diagnosis": (
        "access brokers checks conf core exceptions publishing rendezvous",
        "asyncio django websockets",
    ),
    "server": ("brokers core exceptions", "asyncio httptools msgspec prometheus_client uvicorn websockets"),
    "claim": ("rendezvous server", ""),
    "rendezvous": ("conf", "django"),
    "misrouted": ("conf", "django"),
    "devserver": ("conf core rendezvous server", "asyncio django uvicorn"),
    "juggernaut": ("brokers conf", "django redis"),
    "signalling": ("core server signals", "asyncio django msgspec"),
    "testing": ("brokers conf core exceptions publishing targets", "asgiref django"),
}

# The standard library is everybody's, but for the event loop.
STANDARD = sys.stdlib_module_names - {"asyncio"}

EXCEPTIONS = {
    "brokers.redis.feed": {"asyncio"},  # a feed lives on the server's event loop
    "brokers.redis.reader": {"asyncio"},
    "brokers.redis.tasks": {"asyncio"},
    "brokers.juggernaut2011": {"asyncio"},
}
"""Packages that single modules may import beyond their room's."""


def modules():
    """Return the name and the tree of each module of the package."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "__init__"
        yield name, path, ast.parse(path.read_text(), str(path))


def imports(path, tree):
    """Return the full names of what a module imports, wherever in it that stands."""
    here = path.relative_to(ROOT.parent).with_suffix("").parts
    package = here[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*start, alias.name]) for alias in node.names)


def room_of(name):
    """Return the room that a full name of ours lies in; what the package itself offers is the room ``__init__``."""
    room = name.split(".")[1] if "." in name else "__init__"
    return room if (ROOT / room).is_dir() or (ROOT / f"{room}.py").exists() else "__init__"


def known():
    """Return for each room what its modules import: rooms of ours, and packages of others."""
    rooms, packages = defaultdict(set), defaultdict(set)
    for module, path, tree in modules():
        room = module.split(".")[0]
        for name in imports(path, tree):
            package = name.split(".")[0]
            if package == PACKAGE:
                rooms[room].add(room_of(name))
            elif package not in STANDARD | EXCEPTIONS.get(module, set()):
                packages[room].add(package)
        rooms[room].discard(room)
    return rooms, packages


def test_rooms_import_what_the_table_allows():
    """And the table is printed as it is."""
    rooms, packages = known()
    print()
    for room in sorted(rooms | packages):
        print(f"{room:14}→ {' '.join(sorted(rooms[room])) or 'nothing of ours':60} {' '.join(sorted(packages[room]))}")
    too_much = {}
    for room in rooms.keys() | packages.keys():
        if room in HALVES_MEET:
            continue
        ours, others = TABLE.get(room, ("", ""))
        if extra := (rooms[room] - set(ours.split())) | (packages[room] - set(others.split())):
            too_much[room] = extra
    assert too_much == {}


@pytest.mark.parametrize("half", ["publishing", "access"])
def test_the_halves_of_django_do_not_know_each_other(half):
    """What is published, and who may listen, are two questions."""
    assert not known()[0][half] & {"publishing", "access", "server"}


@pytest.mark.parametrize("room", ["core", "brokers", "server"])
def test_there_is_no_django_behind_the_broker(room):
    """Token checks, authorizers and signals arrive as callables."""
    assert "django" not in known()[1][room]


def test_no_modules_import_each_other_in_a_circle():
    """Not even for the sake of a type: of any two, one can be understood without the other."""
    names = {name for name, path, tree in modules()}

    def module_of(name):
        parts = name.split(".")[1:]
        return next(
            (found for end in range(len(parts), 0, -1) if (found := ".".join(parts[:end])) in names), "__init__"
        )

    known = {
        module: {module_of(name) for name in imports(path, tree) if name.split(".")[0] == PACKAGE} - {module}
        for module, path, tree in modules()
    }
    TopologicalSorter(known).prepare()


def test_nothing_imports_what_is_for_tests():
    """Least of all in production."""
    assert [room for room, others in known()[0].items() if "testing" in others] == []


def test_redis_is_known_to_its_own_modules_only():
    """A project without it installs without it."""
    users = {
        module
        for module, path, tree in modules()
        if any(name.split(".")[0] in ("redis", "hiredis") for name in imports(path, tree))
    }
    assert {user for user in users if not user.startswith("brokers.redis.")} <= {
        "brokers.cluster",
        "brokers.juggernaut2011",
        "juggernaut",
    }


def test_settings_are_read_in_one_place():
    """``JUGPUSH`` becomes a value there; a check looks at it before that."""
    readers = {
        module
        for module, path, tree in modules()
        if any(isinstance(node, ast.Constant) and node.value == "JUGPUSH" for node in ast.walk(tree))
    }
    assert readers <= {"conf", "checks", "publishing.delivery"}  # the last is told when it changes
