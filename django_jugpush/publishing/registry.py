"""Which models are published: what ``push.py`` registers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from . import receivers
from .bindings import Binding, ModelPush

__all__ = ["bindings", "bindings_of", "connect", "conflicts", "counts", "register"]

P = TypeVar("P", bound=type[ModelPush[Any]])

bindings: dict[type[Model], Binding] = {}
"""The binding of each concrete model."""

conflicts: list[tuple[Binding, Binding]] = []
"""Bindings that stand, each with one that came later for the same model and is not used."""


def register(model: type[Model]) -> Callable[[P], P]:
    """
    Decorate the :class:`ModelPush` that publishes the changes of ``model``.

    A proxy stands for its concrete model, so each table has one at most.

    Raises:
        ImproperlyConfigured: If ``model`` is no model with a table, or what is decorated is no ``ModelPush``.
    """
    if not (isinstance(model, type) and issubclass(model, Model)) or model._meta.abstract:
        raise ImproperlyConfigured(f"register() takes a model that has a table, not {model!r}.")
    caller = sys._getframe(1)
    place = f"{caller.f_code.co_filename}:{caller.f_lineno}"

    def decorate(push_class: P) -> P:
        if not (isinstance(push_class, type) and issubclass(push_class, ModelPush)):
            raise ImproperlyConfigured(f"{push_class!r} is not a subclass of ModelPush.")
        _add(Binding(model=model, push=push_class(), place=place))
        return push_class

    return decorate


def bindings_of(model: type[Model]) -> list[Binding]:
    """Return the bindings that a row of ``model`` concerns: its own, and those of the models that it inherits from."""
    return [binding for concrete, binding in bindings.items() if issubclass(model, concrete)]


def counts() -> int:
    """Return how many models are registered."""
    return len(bindings)


def connect() -> None:
    """Listen to what was registered before all models were known."""
    for binding in bindings.values():
        receivers.connect(binding)


def _add(binding: Binding) -> None:
    first = bindings.setdefault(binding.concrete, binding)
    if first is not binding and first.place != binding.place:  # a module that failed at first is imported again
        conflicts.append((first, binding))
    elif first is binding and apps.models_ready:
        receivers.connect(binding)
