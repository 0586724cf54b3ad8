"""JSON values that come from strangers: a client's ``meta`` and events, and what anyone publishes to the firehose."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "read_value", "write_value"]

MAX_DEPTH = 32
"""Lists and objects inside one another; more of them only serve to break what works on the value."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_value(text: str) -> Any:
    """
    Return what the JSON ``text`` stands for.

    Raises:
        ValueError: If it is not JSON, or nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    _check_depth(value)
    return value


def write_value(value: object) -> bytes:
    """Return ``value``, made of what :func:`read_value` gave, as one line of JSON that every browser can read."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half a pair, such as "\ud83d", is JSON but has no UTF-8.
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()


_TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _check_depth(value: object) -> None:
    level = _containers([value])
    for _ in range(MAX_DEPTH):
        level = _containers(item for container in level for item in _items(container))
    if level:
        raise ValueError(_TOO_DEEP)


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, (dict, list))]


def _items(container: dict[str, object] | list[object]) -> Iterable[object]:
    return container.values() if isinstance(container, dict) else container
