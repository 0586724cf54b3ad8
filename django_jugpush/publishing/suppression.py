"""``suppress_publishing``: for imports, migrations of data, and everything else that nobody should watch."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db.models import Model

__all__ = ["is_suppressed", "suppress_publishing"]

F = TypeVar("F", bound=Callable[..., Any])

_suppressed: ContextVar[frozenset[type[Model] | None]] = ContextVar("jugpush_suppressed", default=frozenset())


class suppress_publishing:
    """
    Publish nothing meanwhile; with models, none of their changes.

    A context manager, and a decorator of functions and coroutine functions. What counts is where something is saved
    or published, not where the transaction commits.
    """

    def __init__(self, *models: type[Model]) -> None:
        self._models: frozenset[type[Model] | None] = frozenset(model._meta.concrete_model for model in models)
        self._open: list[contextlib.AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        manager = _suppress(self._models or frozenset([None]))
        manager.__enter__()
        self._open.append(manager)

    def __exit__(self, *details: Any) -> None:
        self._open.pop().__exit__(*details)

    def __call__(self, function: F) -> F:
        """Return ``function``, which publishes nothing any more."""
        models = self._models or frozenset([None])
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def suppressed(*args: Any, **kwargs: Any) -> Any:
                with _suppress(models):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def suppressed(*args: Any, **kwargs: Any) -> Any:
                with _suppress(models):
                    return function(*args, **kwargs)

        return suppressed  # type: ignore[return-value]


def is_suppressed(model: type[Model] | None = None) -> bool:
    """Tell whether nothing is published here; or, of this concrete model, no change."""
    return bool(suppressed := _suppressed.get()) and (None in suppressed or model in suppressed)


@contextlib.contextmanager
def _suppress(models: frozenset[type[Model] | None]) -> Iterator[None]:
    token = _suppressed.set(_suppressed.get() | models)
    try:
        yield
    finally:
        _suppressed.reset(token)
