"""
Telling push servers that a login has ended, or that somebody's rights may have changed.

What Django says by signals is told by :mod:`.receivers`; the rest a project says itself, by the functions here.
Messages leave with the commit, in the batch of its publications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import Model, QuerySet

from django_jugpush.core.control import MAX_USERS
from django_jugpush.core.publication import Publication
from django_jugpush.targets import Target, channel_name, is_user

from .control import make_control
from .logins import fingerprints, named_login

__all__ = [
    "Send",
    "connect",
    "disconnect",
    "end_login",
    "reauthorize",
    "reauthorize_login",
    "reauthorize_targets",
    "reauthorize_users",
    "revoke",
    "revoke_users",
    "tell_fingerprint",
]

Send = Callable[[Sequence[Publication], str], None]
"""Hands messages over when the open transaction of a database commits, or at once; in order, and without raising."""

_send: Send | None = None

Users = Model | Iterable[Any]
"""A user, or several: a queryset, instances or primary keys."""


def connect(send: Send) -> None:
    """Take what messages are sent by. Called once, when the apps are ready."""
    global _send
    _send = send


def reauthorize(user: Users | None = None, channel: Target | None = None) -> None:
    """
    Have push servers ask again whether somebody may listen: after a change of rights that Django does not tell of.

    Whom it concerns gets nothing more until the rule, or the page, has said yes; then goes on without having missed
    anything. Without arguments everybody is asked.

    Args:
        user: Whose subscriptions; a user, a queryset, or several users or primary keys.
        channel: To which channel. By default to all that are not public.
    """
    name = None if channel is None else channel_name(channel)
    if user is None:
        _tell([make_control("reauthorize", channel=name)])
    else:
        reauthorize_users(_keys(user), channel=name)


def disconnect(user: Users) -> None:
    """
    End the connections of a user, or of several. Their pages may come back, with tokens that are still good.

    To end a right, use :func:`reauthorize` or :func:`revoke`.
    """
    _tell([make_control("disconnect", users=users) for users in _parted(_keys(user))])


def revoke(user: Users, *, login: str | None = None) -> None:
    """
    End the logins of a user, or of several: connections end, and no token that was given out before is taken again.

    Args:
        user: Whose. A login of Django's that goes on gives new tokens to the pages that it loads from here on.
        login: Only the login of that name, as :func:`connection_token` was given it.
    """
    if login is None:
        revoke_users(_keys(user))
    else:
        _tell([make_control("revoke", users=(key,), login=named_login(key, login)) for key in _keys(user)])


# What receivers tell


def end_login(login: str, owner: str, *, using: str | None = None) -> None:
    """Say that a session's login has ended: its id is never given again."""
    _tell([make_control("revoke", users=(owner,), login=login, is_final=True)], using)


def revoke_users(keys: Iterable[Any], *, using: str | None = None) -> None:
    """Say that these users, by primary key, are gone."""
    _tell([make_control("revoke", users=users) for users in _parted(keys)], using)


def reauthorize_login(login: str, owner: str, *, using: str | None = None) -> None:
    """Say that a session's login may have ended, which only the site can tell."""
    _tell([make_control("reauthorize", users=(owner,), login=login)], using)


def reauthorize_users(keys: Iterable[Any], *, channel: str | None = None, using: str | None = None) -> None:
    """Say that the rights of these users, by primary key, may have changed."""
    _tell([make_control("reauthorize", users=users, channel=channel) for users in _parted(keys)], using)


def reauthorize_targets(targets: Iterable[Any], using: str) -> None:
    """Have those asked again who are named: users, channels, or pairs of a user and a channel."""
    for target in targets:
        match target:
            case (user, channel):
                reauthorize_users([_key(user)], channel=channel_name(channel), using=using)
            case None:
                pass  # a foreign key that is null
            case _ if is_user(target):
                reauthorize_users([target.pk], using=using)
            case _:
                _tell([make_control("reauthorize", channel=channel_name(target))], using)


def tell_fingerprint(user: Any, *, using: str | None = None) -> None:
    """Say what a user's fingerprint is from here on: grants with another one are out of date."""
    _tell([make_control("reauthorize", users=(str(user.pk),), fingerprints=fingerprints(user))], using)


# Helpers


def _tell(messages: list[Publication], using: str | None = None) -> None:
    if messages and _send:
        _send(messages, using or router.db_for_write(get_user_model()))


def _keys(users: Users) -> Iterator[str]:
    if isinstance(users, QuerySet):
        users = users.values_list("pk", flat=True)
    elif isinstance(users, str) or not isinstance(users, Iterable):
        users = [users]
    for user in users:
        yield _key(user)


def _key(user: Any) -> str:
    return str(user.pk if isinstance(user, Model) else user)


def _parted(keys: Iterable[Any]) -> Iterator[tuple[str, ...]]:
    iterator = map(str, dict.fromkeys(keys))
    while part := tuple(islice(iterator, MAX_USERS)):
        yield part
