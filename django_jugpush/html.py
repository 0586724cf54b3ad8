"""The markup of the template tag, as plain functions; :mod:`.templatetags.juggernaut` and :mod:`.jinja` are thin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from .access.pages import PageSubscription, page_subscriptions, visitor
from .conf import get_config

__all__ = ["ON_STALE", "client_script", "subscribe", "subscription_element"]

ON_STALE = "reload"
"""What a page may do when what it has is stale, and nothing in it heals that."""

_INCLUDED = "_jugpush_client_included"


def subscribe(
    request: HttpRequest,
    arguments: Iterable[Any],
    *,
    refresh: str | None = None,
    src: str | None = None,
    fill: str | None = None,
    on_stale: str | None = None,
) -> SafeString:
    """
    Return the client's script, once a request, and an element for each channel that the page may listen to.

    Under ``DEBUG`` there is an element for each refused channel too, which says why; the client prints it.

    Raises:
        ValueError: If ``on_stale`` is not ``"reload"``, the one thing that a page can ask for.
    """
    if on_stale and on_stale != ON_STALE:
        raise ValueError(f"juggernaut_subscribe takes on_stale={ON_STALE!r} and nothing else, not {on_stale!r}.")
    # Django REST framework wraps the request, and keeps to itself what is set on the wrapper.
    request = getattr(request, "_request", request)
    arguments = list(arguments)
    found = page_subscriptions(request, arguments)
    # A page of public channels alone stays the same for all, so that it can be cached.
    is_personal = not arguments or not all(subscription.is_public for subscription in found)
    shown = [subscription for subscription in found if settings.DEBUG or not subscription.denied]
    options = {"refresh": refresh, "src": src, "fill": fill, "on_stale": on_stale}
    elements = [subscription_element(subscription, **options) for subscription in shown]
    return mark_safe("\n".join(filter(None, [client_script(request, is_personal=is_personal), *elements])))


def client_script(request: HttpRequest, *, is_personal: bool = False) -> SafeString:
    """
    Return the element that loads the client; nothing if this request's page has it already.

    With ``is_personal`` it says who looks at the page, and carries that user's connection token.
    """
    if getattr(request, _INCLUDED, False):
        return SafeString()
    setattr(request, _INCLUDED, True)
    looking = visitor(request) if is_personal else None
    attributes: dict[str, object] = {
        "src": static("django_jugpush/juggernaut.js"),
        "data-url": get_config().PUBLIC_URL,
        "data-live": static("django_jugpush/live.js"),
        "data-debug": settings.DEBUG,
        "data-identity": looking and (looking.identity or True),
        "data-token": looking and looking.token,
        "nonce": _nonce(request),
        "defer": True,
    }
    return format_html("<script{}></script>", _attributes(attributes))


def subscription_element(
    subscription: PageSubscription,
    *,
    refresh: str | None = None,
    src: str | None = None,
    fill: str | None = None,
    on_stale: str | None = None,
) -> SafeString:
    """Return the custom element that subscribes while it is in the page."""
    attributes = {
        "channel": subscription.channel,
        "token": subscription.token,
        "since": subscription.since,
        "refresh": refresh,
        "src": src,
        "fill": fill,
        "on-stale": on_stale,
        "denied": subscription.denied,
    }
    return format_html("<juggernaut-subscribe{}></juggernaut-subscribe>", _attributes(attributes))


def _attributes(attributes: Mapping[str, object]) -> SafeString:
    """Join those that have a value; True stands for an attribute without one."""
    return format_html_join(
        "",
        " {}{}",
        (
            # Text in a template counts as safe HTML, and what a variable holds may claim to be: escape it all the same.
            (name, "" if value is True else format_html('="{}"', escape(value)))
            for name, value in attributes.items()
            if value
        ),
    )


def _nonce(request: HttpRequest) -> str | None:
    # django-csp's attribute, and that of Django's own middleware. Both are lazy and false until their text is taken.
    for name in ("csp_nonce", "_csp_nonce"):
        if (nonce := getattr(request, name, None)) is not None:
            return str(nonce)
    return None
