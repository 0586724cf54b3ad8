"""Listens to the signals of registered models, and of no others: a suite without publications pays nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import post_save, pre_delete

from . import batch
from .bindings import Binding
from .rows import deletion, saving
from .suppression import is_suppressed

__all__ = ["connect", "disconnect"]


def connect(binding: Binding) -> None:
    """
    Listen to saves and deletions of the binding's model.

    Django sends ``post_save`` for the class that was saved, be it a proxy or a model that inherits from this one, and
    the deletion signals for each parent too.
    """
    uid = "django_jugpush", binding.label
    for sender in _senders(binding):
        post_save.connect(functools.partial(_on_save, binding), sender, weak=False, dispatch_uid=uid)
        if sender._meta.concrete_model is binding.concrete:
            # Not post_delete: what the row refers to may be gone by then.
            pre_delete.connect(functools.partial(_on_delete, binding), sender, weak=False, dispatch_uid=uid)


def disconnect(binding: Binding) -> None:
    """Stop listening."""
    uid = "django_jugpush", binding.label
    for sender in _senders(binding):
        post_save.disconnect(sender=sender, dispatch_uid=uid)
        pre_delete.disconnect(sender=sender, dispatch_uid=uid)


def _on_save(binding: Binding, *, instance: Model, created: bool, raw: bool, using: str, **kwargs: Any) -> None:
    # A fixture is loaded in any order, so the rows that channels() follows may be missing.
    if raw or is_suppressed(binding.concrete):
        return
    if change := saving(binding, instance, created=created):
        batch.add([change], using)


def _on_delete(binding: Binding, *, instance: Model, using: str, **kwargs: Any) -> None:
    if not is_suppressed(binding.concrete) and (change := deletion(binding, instance)):
        batch.add([change], using)


def _senders(binding: Binding) -> Iterator[type[Model]]:
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        if issubclass(model, binding.concrete):
            yield model
