"""``{% juggernaut_subscribe %}``: parses the arguments, tells literals from variables, and asks :mod:`..html`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template import Context, Library, Node, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token
from django.templatetags.cache import CacheNode
from django.utils.safestring import SafeString

from django_jugpush.access.pages import LiteralName, Nothing
from django_jugpush.core.channels import check_name, is_reserved
from django_jugpush.exceptions import InvalidChannel
from django_jugpush.html import ON_STALE, subscribe

register = Library()

_OPTION = re.compile(r"(\w+)=(.+)", re.DOTALL)
_OPTIONS = frozenset({"refresh", "src", "fill", "on_stale"})


@register.tag
def juggernaut_subscribe(parser: Parser, token: Token) -> SubscribeNode:
    """
    Subscribe the page to channels, and load the client.

    Usage: ``{% juggernaut_subscribe to… [refresh=SELECTOR] [src=URL] [fill=SELECTOR] [on_stale="reload"] %}``. Without
    arguments, to the signed-in user's own channel.
    """
    if any(command == "cache" for command, _ in parser.command_stack):
        raise TemplateSyntaxError(_IN_CACHE)
    bits = token.split_contents()[1:]
    if "as" in bits:
        raise TemplateSyntaxError("juggernaut_subscribe has no 'as': it writes its markup where it stands.")
    arguments: list[FilterExpression | LiteralName] = []
    options: dict[str, FilterExpression] = {}
    for bit in bits:
        if option := _OPTION.fullmatch(bit):
            if option[1] not in _OPTIONS or option[1] in options:
                raise TemplateSyntaxError(f"juggernaut_subscribe: unknown or repeated option {option[1]!r}.")
            options[option[1]] = parser.compile_filter(option[2])
        else:
            arguments.append(_argument(parser.compile_filter(bit)))
    if "src" in options and "refresh" not in options:
        raise TemplateSyntaxError("juggernaut_subscribe: src= says where refresh= fetches; it needs refresh=.")
    _check_on_stale(options.get("on_stale"))
    return SubscribeNode(arguments, options)


class SubscribeNode(Node):
    """The compiled tag."""

    def __init__(
        self, arguments: Sequence[FilterExpression | LiteralName], options: Mapping[str, FilterExpression]
    ) -> None:
        self.arguments = arguments
        self.options = options

    def render(self, context: Context) -> SafeString:
        """Return the markup; see :func:`django_jugpush.html.subscribe`."""
        if _is_being_cached(sys._getframe()):
            raise TemplateSyntaxError(_IN_CACHE)
        return subscribe(
            _request(context),
            [argument if isinstance(argument, str) else _resolved(argument, context) for argument in self.arguments],
            **{name: expression.resolve(context) for name, expression in self.options.items()},
        )


_IN_CACHE = (
    "juggernaut_subscribe cannot stand inside {% cache %}: the fragment would give one visitor's token to everybody. "
    "Move it out; the element may stand anywhere in the page."
)


def _check_on_stale(expression: FilterExpression | None) -> None:
    if expression is None or not isinstance(expression.var, str) or expression.filters or expression.var == ON_STALE:
        return
    raise TemplateSyntaxError(f'juggernaut_subscribe takes on_stale="{ON_STALE}" and nothing else.')


def _argument(expression: FilterExpression) -> FilterExpression | LiteralName:
    if not isinstance(expression.var, str) or expression.filters:
        return expression
    try:
        name = LiteralName(check_name(str(expression.var)))
    except InvalidChannel as error:
        raise TemplateSyntaxError(f"juggernaut_subscribe: {error}") from error
    if is_reserved(name):
        raise TemplateSyntaxError(f"juggernaut_subscribe: {name!r} is reserved; give the object, not its channel.")
    return name


def _resolved(expression: FilterExpression, context: Context) -> Any:
    value = expression.resolve(context, ignore_failures=True)
    return Nothing(expression.token) if value is None or value == "" else value


def _is_being_cached(frame: FrameType | None) -> bool:
    # An included template, or a block that fills one of its parent's, stands in no {% cache %} that its parser can see.
    while frame is not None:
        if frame.f_code is CacheNode.render.__code__:
            return True
        frame = frame.f_back
    return False


def _request(context: Context) -> HttpRequest:
    request: HttpRequest | None = getattr(context, "request", None) or context.get("request")
    if request is None:
        raise ImproperlyConfigured(
            "juggernaut_subscribe needs the request: use render(request, …), or the context processor "
            "django.template.context_processors.request."
        )
    return request
