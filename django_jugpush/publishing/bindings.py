"""What a project says about publishing a model's changes, and how a row is read for it."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model

from django_jugpush.targets import Targets

__all__ = ["Binding", "ModelPush"]

M = TypeVar("M", bound=Model)


class ModelPush(Generic[M]):
    """
    Says where the changes of a model are published, and what of a row goes along.

    Subclass it and hand it to :func:`django_jugpush.register`.
    """

    fields: Sequence[str] = ()
    """Names of the model's fields that leave the server; by default none: only event, model and primary key do."""

    select_related: Sequence[str] = ()
    """What :meth:`channels` follows: fetched in the query that reads the rows."""

    def channels(self, obj: M) -> Targets:
        """Return where a change of ``obj`` is published: a target or several. By default its own channel."""
        return [obj]

    def revokes(self, obj: M) -> Iterable[Any]:
        """
        Return whose rights a change of ``obj`` may have ended: nobody's by default.

        For rows that say who may listen, such as memberships. A user among what is returned stands for all that this
        user listens to, anything else for its channel, and a pair of both for the one at the other. They are asked
        again, as by :func:`django_jugpush.reauthorize`. Called with the row as it was, too.
        """
        return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Binding:
    """A model and its :class:`ModelPush`."""

    model: type[Model]
    """As registered: perhaps a proxy."""

    push: ModelPush[Any]

    place: str
    """File and line where it was registered."""

    @property
    def concrete(self) -> type[Model]:
        """The model that has the table."""
        concrete = self.model._meta.concrete_model
        assert concrete is not None  # register() refuses abstract models
        return concrete

    @property
    def label(self) -> str:
        """The model's name in messages, as in Django's serializations."""
        return self.concrete._meta.label_lower

    @property
    def pk_name(self) -> str:
        """The attribute that holds the primary key, on instances of models that inherit from this one too."""
        return self.model._meta.pk.attname

    def pk_of(self, instance: Model) -> Any:
        """Return the primary key as the database will: what was assigned may have been text."""
        return self.model._meta.pk.to_python(getattr(instance, self.pk_name))

    def read(self, pks: Collection[Any], using: str) -> dict[Any, Model]:
        """Fetch rows by primary key, in one query. Rows that are gone are left out."""
        queryset = self.model._base_manager.using(using)
        if self.push.select_related:
            queryset = queryset.select_related(*self.push.select_related)
        return queryset.in_bulk(pks)

    @property
    def has_rights(self) -> bool:
        """Whether rows say who may listen to something."""
        return type(self.push).revokes is not ModelPush.revokes

    def values(self, obj: Model) -> dict[str, Any]:
        """Return the values of the declared fields."""
        return {name: _value(obj, self.model._meta.get_field(name)) for name in self.push.fields}


# What JSON has a form for; everything else takes the form that the field has for it in Django's serializations.
_PLAIN = (
    type(None), bool, int, float, str, dict, list, tuple,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID,
)  # fmt: skip


def _value(obj: Model, field: Any) -> Any:
    value = field.value_from_object(obj)
    if isinstance(value, _PLAIN):
        return value
    return field.value_to_string(obj)
