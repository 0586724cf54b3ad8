"""
Which channels there are and who may listen to them: ``channel()``, :class:`Channel`, and the lookup by name.

Patterns use Django's path converters, so ``order:<int:pk>`` means what it means in a URL, with one rule more: a name
belongs to a pattern only if the pattern, given the values found in the name, would write that very name again.
``order:007`` is therefore not a second name of ``order:7``.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import itertools
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import router
from django.db.models import Model
from django.http import Http404
from django.urls.resolvers import RoutePattern

from django_jugpush.conf import read_history
from django_jugpush.core.channels import check_name, is_reserved
from django_jugpush.exceptions import InvalidChannel

__all__ = [
    "Authorizer",
    "Channel",
    "Match",
    "channel",
    "count",
    "explain",
    "find",
    "find_for_instance",
    "is_public",
    "options_of",
    "overlaps",
    "registered",
    "rules",
]

logger = logging.getLogger("django_jugpush.access")

Authorizer = Callable[..., Any]
"""Called with the user and the pattern's values, or the user and the model instance; a true answer is a yes."""

Match = tuple["Channel", dict[str, Any]]
"""A declared channel, and the values that a name has for its parameters."""

_PARAMETER = re.compile(r"<(?:[^>:]+:)?([^>]+)>")

_channels: list[Channel] = []

_with_options: list[Channel] = []
"""Those that say something about their publications. With none of them, no name is matched when it is published to."""

_NO_OPTIONS: Mapping[str, Any] = {}


def channel(
    pattern: str | type[Model],
    authorizer: Authorizer | None = None,
    *,
    public: bool = False,
    permission: str | None = None,
    last: bool = False,
    max_rate: float | None = None,
    history: tuple[int, float] | None = None,
) -> Channel:
    """
    Declare a channel, or a family of channels: who may listen to it, and how its publications are kept and sent.

    Works as a plain call and as a decorator of the authorizer.

    Args:
        pattern: A name (``"banner"``), a pattern (``"export:<uuid:pk>"``), or a model: the channels of its instances.
        authorizer: Called with the user and the pattern's values (for a model: with the user and the instance).
        public: Everybody may listen, without a token.
        permission: A permission (``"shop.view_stats"``) that the user must have.
        last: Keep the newest publication without end, and give it to each new subscriber, until ``None`` is published.
        max_rate: How many publications a client gets a second at most. Of those that are too many the newest counts.
        history: How many publications are kept, and for how many seconds after the newest; by default ``HISTORY``.

    Raises:
        ImproperlyConfigured: If the pattern cannot be one, lies in a reserved namespace, the rules contradict, or an
            option has a value that cannot be meant.
    """
    declared = Channel(
        pattern, authorizer, public=public, permission=permission, last=last, max_rate=max_rate, history=history
    )
    _channels.append(declared)
    if declared.options:
        _with_options.append(declared)
        _find_options.cache_clear()
    return declared


class Channel:
    """A declared channel or family of channels. Made by :func:`channel`."""

    def __init__(
        self,
        pattern: str | type[Model],
        authorizer: Authorizer | None = None,
        *,
        public: bool = False,
        permission: str | None = None,
        last: bool = False,
        max_rate: float | None = None,
        history: tuple[int, float] | None = None,
    ) -> None:
        if public and (authorizer or permission):
            raise ImproperlyConfigured(f"The channel {pattern!r} is public, so it takes no authorizer or permission.")
        self.model = None if isinstance(pattern, str) else _checked_model(pattern)
        self.pattern = pattern if isinstance(pattern, str) else f"{_label(pattern)}:<path:pk>"
        self.public = public
        self.permission = permission
        self.authorizer = authorizer
        self.options = _checked_options(self.pattern, last=last, max_rate=max_rate, history=history)
        self._route = _checked_route(self.pattern)
        self._parts = _PARAMETER.split(self.pattern)  # literal, parameter, literal, …, literal

    def __call__(self, authorizer: Authorizer) -> Channel:
        """Take the authorizer: this is the decorator."""
        if self.public:
            raise ImproperlyConfigured(f"The channel {self.pattern!r} is public, so it takes no authorizer.")
        self.authorizer = authorizer
        return self

    def __repr__(self) -> str:
        return f"<Channel {self.pattern}>"

    @property
    def has_rule(self) -> bool:
        """Whether it says who may listen. One that does not only gives names."""
        return self.public or self.permission is not None or self.authorizer is not None

    @property
    def has_parameters(self) -> bool:
        """Whether it is a family of channels and not a single one."""
        return len(self._parts) > 1

    def name(self, **values: Any) -> str:
        """
        Return the channel's name for these values: the counterpart of ``reverse()``.

        Raises:
            TypeError: If a value is missing, or not a parameter of the pattern.
            InvalidChannel: If the values do not fit the pattern, or the name gets too long.
        """
        parameters = self._parts[1::2]
        if set(values) != set(parameters):
            expected = ", ".join(parameters) or "no values"
            raise TypeError(f"{self.pattern!r} takes {expected}; got {', '.join(values) or 'none'}.")
        name = check_name(self._build(values))
        if self._parse(name) is None:
            raise InvalidChannel(name, f"the values do not fit {self.pattern!r}")
        return name

    def match(self, name: str) -> dict[str, Any] | None:
        """Return the values that ``name`` has for the pattern's parameters; None if it is not one of its names."""
        values = self._parse(name)
        if values is None or self._build(values) != name:
            return None
        return values

    def allows(self, user: Any, values: Mapping[str, Any]) -> bool:
        """
        Tell whether ``user`` may listen, given what :meth:`match` returned, or ``{"instance": …}`` for a model.

        Without a rule the answer is no. An authorizer that raises has said no; the exception is logged.
        """
        try:
            return self.decide(user, values)
        except Exception:
            logger.exception("The authorizer of %r failed; the subscription is refused.", self.pattern)
            return False

    def decide(self, user: Any, values: Mapping[str, Any]) -> bool:
        """
        Tell the same, but let through what an authorizer raises: who can ask again later takes it for no answer.

        What does not exist has been answered: as what is forbidden is, or one could find out by asking what exists.
        """
        try:
            return self._decide(user, values)
        except (ObjectDoesNotExist, PermissionDenied, Http404):
            return False

    def _decide(self, user: Any, values: Mapping[str, Any]) -> bool:
        if self.public:
            return True
        if not self.has_rule or (self.permission is not None and not user.has_perm(self.permission)):
            return False
        if self.model is not None:
            instance = values["instance"] if "instance" in values else self._instance(values["pk"])
            return instance is not None and (self.authorizer is None or _answer(self.authorizer(user, instance)))
        return self.authorizer is None or _answer(self.authorizer(user, **values))

    def _instance(self, pk: Any) -> Model | None:
        assert self.model is not None
        # The primary: a replica that lags would grant what was just taken away.
        manager = self.model._base_manager.using(router.db_for_write(self.model))
        return manager.filter(pk=pk).first()

    def _parse(self, name: str) -> dict[str, Any] | None:
        found = self._route.match(name)
        if found is None:
            return None
        values = found[2]
        if self.model is not None:
            try:
                values["pk"] = self.model._meta.pk.to_python(values["pk"])
            except (ValidationError, ValueError):
                return None
        return values

    def _fits(self, parameter: str, text: str) -> bool:
        return re.fullmatch(self._route.converters[parameter].regex, text) is not None

    def _build(self, values: Mapping[str, Any]) -> str:
        parts = list(self._parts)
        for index in range(1, len(parts), 2):
            parameter = parts[index]
            parts[index] = str(self._route.converters[parameter].to_url(values[parameter]))
        return "".join(parts)


def registered() -> tuple[Channel, ...]:
    """Return what :func:`channel` has declared, in order."""
    return tuple(_channels)


def count() -> int:
    """Return how many channels and families of channels are declared."""
    return len(_channels)


def find(name: str) -> list[Match]:
    """Return every declared channel that ``name`` belongs to. Reserved names belong to none."""
    if is_reserved(name):
        return []
    return [(declared, values) for declared in _channels if (values := declared.match(name)) is not None]


def find_for_instance(instance: Model, name: str) -> list[Match]:
    """Like :func:`find`, for the name of an instance that is at hand: no query, and no detour by its name."""
    concrete = instance._meta.concrete_model
    matches = [match for match in find(name) if match[0].model is None]
    models = [declared for declared in _channels if declared.model and declared.model._meta.concrete_model is concrete]
    return matches + [(declared, {"instance": instance}) for declared in models]


def options_of(name: str) -> Mapping[str, Any]:
    """
    Return what is declared about the publications of a channel, by the names of their fields.

    Of several declared channels that the name belongs to, the first that says something counts.
    """
    return _find_options(name) if _with_options else _NO_OPTIONS


@functools.lru_cache(maxsize=1024)
def _find_options(name: str) -> Mapping[str, Any]:
    if is_reserved(name):
        return _NO_OPTIONS
    return next((declared.options for declared in _with_options if declared.match(name) is not None), _NO_OPTIONS)


def rules(matches: list[Match]) -> list[Match]:
    """Return those that say who may listen. Where there are several, all of them must say yes."""
    return [match for match in matches if match[0].has_rule]


def is_public(matches: list[Match]) -> bool:
    """Tell whether everybody may listen: there are rules, and each is ``public=True``."""
    decisive = rules(matches)
    return bool(decisive) and all(declared.public for declared, _ in decisive)


def explain(name: str) -> str:
    """Say, for a developer, what is known about a name that nobody may listen to: the nearest pattern, if any."""
    if is_reserved(name):
        return f"{name!r} is in a reserved namespace: name the object, not its channel"
    if matches := find(name):
        patterns = " and ".join(repr(declared.pattern) for declared, _ in matches)
        return f"{name!r} belongs to {patterns}, which is not public"
    for declared in _channels:
        if (values := declared._parse(name)) is not None:
            return f"{name!r} is not how {declared.pattern!r} writes it; {declared._build(values)!r} is"
    nearest = difflib.get_close_matches(_head(name), {_head(declared.pattern) for declared in _channels}, n=1)
    candidates = [declared.pattern for declared in _channels if _head(declared.pattern) in nearest]
    if candidates:
        return f"no channel() declares {name!r}; the nearest pattern is {candidates[0]!r}"
    return f"no channel() declares {name!r}"


def overlaps() -> list[tuple[Channel, Channel, str]]:
    """
    Return each two declared channels that a name belongs to at once, with such a name.

    Names are tried out, not computed: the converters' regular expressions are the project's own.
    """
    found = []
    for first, second in itertools.combinations(_channels, 2):
        example = next((name for name in _examples(first, second) if _both(first, second, name)), None)
        if example is not None:
            found.append((first, second, example))
    return found


def _both(first: Channel, second: Channel, name: str) -> bool:
    return first.match(name) is not None and second.match(name) is not None


_SAMPLES = ("1", "0", "a", "a-b", "a/b", "a:b", "00000000-0000-0000-0000-000000000001", "2030-01-01")
_MAX_EXAMPLES = 2_000


def _examples(first: Channel, second: Channel) -> Iterator[str]:
    """Give names of either, filled with samples and with the literal pieces of the other."""
    starts = first._parts[0], second._parts[0]
    if not (starts[0].startswith(starts[1]) or starts[1].startswith(starts[0])):
        return
    for one, other in ((first, second), (second, first)):
        pieces = {piece for part in other._parts[::2] for piece in re.split("[:/]", part) if piece}
        whole = {part[len(one._parts[0]) :] for part in other._parts[:1]} - {""}
        pool = sorted({*_SAMPLES, *pieces, *whole, *(f"{piece}:1" for piece in pieces)})
        choices = [[text for text in pool if one._fits(parameter, text)] for parameter in one._parts[1::2]]
        for texts in itertools.islice(itertools.product(*choices), _MAX_EXAMPLES):
            yield "".join(itertools.chain.from_iterable(itertools.zip_longest(one._parts[::2], texts, fillvalue="")))


def _head(pattern: str) -> str:
    return re.split("[:<]", pattern, maxsplit=1)[0]


def _label(model: type[Model]) -> str:
    return model._meta.concrete_model._meta.label_lower  # type: ignore[union-attr]


def _checked_model(model: type[Model]) -> type[Model]:
    if not (isinstance(model, type) and issubclass(model, Model)):
        raise ImproperlyConfigured(f"channel() takes a pattern or a model, not {model!r}.")
    if model._meta.abstract or len(model._meta.pk_fields) > 1:
        raise ImproperlyConfigured(f"{model.__name__} is abstract or has a composite primary key.")
    if _label(model) == settings.AUTH_USER_MODEL.lower():
        raise ImproperlyConfigured("A user's channel is that user's own; no channel() can open it to others.")
    return model


def _checked_options(
    pattern: str, *, last: object, max_rate: object, history: tuple[int, float] | None
) -> Mapping[str, Any]:
    """Return those that say something."""
    if not isinstance(last, bool):
        raise ImproperlyConfigured(f"The channel {pattern!r} has last={last!r}. It must be True or False.")
    if max_rate is not None and not _is_rate(max_rate):
        raise ImproperlyConfigured(
            f"The channel {pattern!r} has max_rate={max_rate!r}. It must be a number greater than 0."
        )
    if history is not None:
        try:
            history = read_history(history)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"The channel {pattern!r} has history={history!r}. It must be {error}."
            ) from error
    options = {"last": last or None, "max_rate": max_rate, "history": history}
    return {option: value for option, value in options.items() if value is not None}


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _checked_route(pattern: str) -> RoutePattern:
    literal = _PARAMETER.sub("", pattern)
    if set("<>") & set(literal):
        raise ImproperlyConfigured(f"{pattern!r} has an angle bracket without its partner.")
    if is_reserved(pattern):
        raise ImproperlyConfigured(f"{pattern!r} is in a reserved namespace.")
    try:
        check_name(literal if literal or not pattern else "x")
        route = RoutePattern(pattern, is_endpoint=True)
        route.regex  # noqa: B018 - compiled when first read
    except (InvalidChannel, re.error) as error:
        raise ImproperlyConfigured(f"{pattern!r} is no pattern for channels: {error}") from error
    return route


def _answer(answer: Any) -> bool:
    # A coroutine is true: taken as it is, an async authorizer would let everybody in.
    return bool(_awaited(answer) if inspect.isawaitable(answer) else answer)


def _awaited(awaitable: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await awaitable

    try:
        return async_to_sync(wait)()
    finally:
        if inspect.iscoroutine(awaitable):
            awaitable.close()
