"""
What Django sends no signal of: ``update()``, raw SQL, another program that writes to the table of users.

Push servers look after the users who are connected, every half a minute.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import close_old_connections, router

from django_jugpush.core.control import ControlMessage

from .authority import can_enter, inside
from .logins import WATCHED_FIELDS, fingerprints

__all__ = ["Connected", "find_changed"]

USERS_PER_QUERY = 1000

Connected = Mapping[tuple[str, str], Collection[str | None]]
"""Of each namespace and user, by primary key as text, the fingerprints that grants have."""


def find_changed(connected: Connected) -> list[ControlMessage]:
    """Return what is to be told of users who are gone, or whose fingerprint is another than that of their grants."""
    if not connected or not can_enter():
        return []
    by_namespace: defaultdict[str, dict[str, Collection[str | None]]] = defaultdict(dict)
    for (namespace, user), held in connected.items():
        by_namespace[namespace][user] = held
    close_old_connections()
    try:
        return [
            _message(namespace, user, current)
            for namespace, users in by_namespace.items()
            for user, current in _changed(namespace, users)
        ]
    finally:
        close_old_connections()


def _changed(namespace: str, users: Mapping[str, Collection[str | None]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    with inside(namespace):
        iterator = iter(users)
        while part := list(islice(iterator, USERS_PER_QUERY)):
            found = _read(part)
            for user in part:
                current = found.get(user, ())
                if not set(users[user]) <= set(current):
                    yield user, current


def _read(users: Collection[str]) -> dict[str, tuple[str, ...]]:
    model: Any = get_user_model()
    queryset = model._base_manager.using(router.db_for_write(model)).only(*_columns(model))
    found = queryset.filter(pk__in=filter(None, (_key(model, user) for user in users)))
    return {str(user.pk): fingerprints(user) for user in found}


def _columns(model: Any) -> Iterator[str]:
    for name in WATCHED_FIELDS:
        try:
            model._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        yield name


def _key(model: Any, user: str) -> Any:
    try:
        return model._meta.pk.to_python(user)
    except (ValueError, ValidationError):
        return None


def _message(namespace: str, user: str, current: tuple[str, ...]) -> ControlMessage:
    return ControlMessage(
        id=secrets.token_urlsafe(6),
        at=time.time(),
        kind="reauthorize",
        namespace=namespace,
        users=(user,),
        fingerprints=current,
    )
