"""What a publication or a subscription can be addressed to, and the channel names that come of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.utils.module_loading import import_string

from .conf import get_config
from .core.channels import check_name
from .exceptions import InvalidChannel

__all__ = ["NamedChannel", "Target", "Targets", "channel_name", "channel_names", "is_user", "user_channel"]


class NamedChannel(Protocol):
    """A declared channel, as :func:`django_jugpush.channel` returns it."""

    def name(self) -> str:
        """Return the channel's name."""


Target = str | Model | NamedChannel
"""A channel name, a user, another model instance, or a declared channel without parameters."""

Targets = Target | Iterable[Target | None]
"""One target, or several. None among several is left out, so that a nullable foreign key can be named as it is."""


def channel_name(to: Target) -> str:
    """
    Return the name of the channel that ``to`` stands for.

    Text is taken as it is. A user stands for :func:`user_channel`, another instance for
    ``<app_label>.<model_name>:<pk>`` of its concrete model.

    Raises:
        InvalidChannel: If the name breaks the rules, or the instance has no primary key yet.
        TypeError: If ``to`` is nothing that a channel can be made of.
    """
    if isinstance(to, str):
        return check_name(str.__str__(to))  # of a SafeString, only this is a plain str
    if isinstance(to, Model):
        return user_channel(to) if is_user(to) else _instance_channel(to)
    name = getattr(to, "name", None)
    if callable(name):
        return check_name(name())
    kind = type(to).__qualname__
    raise TypeError(f"A {kind} is no channel: give a name, a saved model instance, a user, or a declared channel.")


def channel_names(to: Targets) -> list[str]:
    """
    Return the names for one target or several, each once, in their order.

    Raises:
        InvalidChannel: If a name breaks the rules, or an instance has no primary key yet.
        TypeError: If something is no target. A queryset is none: what it would stand for changes with the table.
    """
    if isinstance(to, Iterable) and not isinstance(to, (str, bytes, Model, QuerySet)) and not hasattr(to, "keys"):
        return list(dict.fromkeys(channel_name(target) for target in to if target is not None))
    return [channel_name(to)]  # type: ignore[arg-type]


def user_channel(user: Any) -> str:
    """
    Return the name of the user's own channel: ``user:<pk>``, or what the setting ``USER_CHANNEL`` makes of it.

    Raises:
        InvalidChannel: If the user is not saved, or the name breaks the rules.
        TypeError: If ``user`` is no user, which an anonymous visitor is not either.
    """
    if not is_user(user):
        raise TypeError(f"A {type(user).__qualname__} is not a user that has a channel.")
    _require_pk(user)
    path = get_config().USER_CHANNEL
    rest = import_string(path)(user) if path else _key(user)
    return check_name(f"user:{rest}")


def _instance_channel(instance: Model) -> str:
    _require_pk(instance)
    return check_name(f"{_label(instance)}:{_key(instance)}")


def is_user(value: object) -> bool:
    """Tell whether ``value`` is an instance of the project's user model."""
    try:
        return isinstance(value, get_user_model())
    except ImproperlyConfigured:  # the project has no users
        return False


def _require_pk(instance: Model) -> None:
    if None in (instance.pk if isinstance(instance.pk, tuple) else (instance.pk,)):
        raise InvalidChannel(f"{_label(instance)}:", "the instance has no primary key; save it first")


def _key(instance: Model) -> str:
    return ",".join(map(str, instance.pk)) if isinstance(instance.pk, tuple) else str(instance.pk)


def _label(instance: Model) -> str:
    concrete = instance._meta.concrete_model
    assert concrete is not None  # an instance is of no abstract model
    return concrete._meta.label_lower
