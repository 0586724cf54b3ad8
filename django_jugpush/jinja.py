"""
The tag as a Jinja2 extension, which adds the function ``juggernaut_subscribe``.

.. code-block:: python

    TEMPLATES = [{"BACKEND": "django.template.backends.jinja2.Jinja2",
                  "OPTIONS": {"extensions": ["django_jugpush.jinja.JuggernautExtension"]}}]
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.safestring import SafeString
from jinja2 import Environment, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context

from .access.pages import LiteralName
from .html import subscribe

__all__ = ["JuggernautExtension", "juggernaut_subscribe"]


@pass_context
def juggernaut_subscribe(
    context: Context,
    *to: Any,
    grant: bool = False,
    refresh: str | None = None,
    src: str | None = None,
    fill: str | None = None,
    on_stale: str | None = None,
) -> SafeString:
    """
    Subscribe the page to channels, and load the client: ``{{ juggernaut_subscribe(order, refresh="#status") }}``.

    A function cannot tell text in the template from text in a variable, so text needs a declared channel whose rule
    says yes, unless ``grant=True``: the template's author then vouches that no visitor chose the name.
    """
    request = context.get("request")
    if request is None:
        raise ImproperlyConfigured("juggernaut_subscribe needs the request in the template's context.")
    arguments = [LiteralName(argument) if grant and isinstance(argument, str) else argument for argument in to]
    return subscribe(request, arguments, refresh=refresh, src=src, fill=fill, on_stale=on_stale)


class JuggernautExtension(Extension):
    """Adds ``juggernaut_subscribe`` to the environment's functions."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["juggernaut_subscribe"] = juggernaut_subscribe
