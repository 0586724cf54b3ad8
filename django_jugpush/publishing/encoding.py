"""Data becomes JSON as Django writes it, with a few more of the types that Django people have at hand."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Iterable, Mapping, MappingView
from typing import Any

import msgspec
from django.core.serializers.json import DjangoJSONEncoder

from django_jugpush.conf import get_config
from django_jugpush.exceptions import PayloadTooBig

__all__ = ["encode", "make_id"]


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, enum.Enum):
            return o.value
        if isinstance(o, (set, frozenset)):
            return _sorted(o)
        if isinstance(o, MappingView):
            return list(o)  # type: ignore[call-overload]
        if isinstance(o, Mapping):
            return dict(o)
        return super().default(o)


# A browser's JSON.parse knows neither NaN nor infinity.
_encode = _Encoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(data: object) -> msgspec.Raw:
    """
    Write ``data`` as JSON.

    Raises:
        PayloadTooBig: If it takes more than ``MAX_MESSAGE_SIZE`` bytes.
        TypeError: If something in it has no form in JSON.
        ValueError: If it holds NaN, an infinity, half a surrogate pair, or itself, or is nested too deep.
    """
    try:
        encoded = _encode(data).encode()
    except RecursionError as error:
        raise ValueError("The data is nested too deep to be written as JSON.") from error
    limit = get_config().MAX_MESSAGE_SIZE
    if len(encoded) > limit:
        raise PayloadTooBig(len(encoded), limit)
    return msgspec.Raw(encoded)


def make_id() -> str:
    """Return a publication id that nobody has used or can guess."""
    return secrets.token_urlsafe(12)


def _sorted(values: Iterable[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # of several types
        return list(values)
