"""
Where the halves of a push server meet, and how it is mounted in an ASGI application.

::

    application = push_application(get_asgi_application())
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from . import brokers
from .access import authority, control, sweep, tokens
from .access.origins import origin_allowed
from .brokers import is_redis
from .brokers.base import Feed
from .brokers.local import LocalFeed
from .claim import LocalClaim
from .conf import Config, SecretURL, derived_keys, get_config
from .devserver import PushThread
from .server.app import PushServer
from .server.config import ServerConfig
from .server.http import uvicorn_options
from .server.notices import Taker
from .server.publish import PublishEndpoint
from .server.types import ASGIApplication, Receive, Scope, Send
from .signalling import SignalSender

__all__ = ["ProjectAuthority", "make_feed", "make_push_server", "make_push_thread", "push_application"]


def make_push_server(*, broker: str | None = None, path: str | None = None, is_exclusive: bool = True) -> PushServer:
    """
    Put a push server together from the project's configuration.

    Args:
        broker: In the place of ``BROKER``.
        path: In the place of the path of ``PUBLIC_URL``.
        is_exclusive: Whether there may be no other of this project, if there is no Redis to join them.
    """
    config = get_config()
    config = replace(config, BROKER=SecretURL(broker) if broker else config.BROKER)
    path = path or config.mount_path
    feed = make_feed(config)
    endpoint = claim = None
    if isinstance(feed, LocalFeed):
        networks = [ip_network(network, strict=False) for network in config.PUBLISH_FROM]
        endpoint = PublishEndpoint(derived_keys("publish"), feed, allowed_networks=networks)
        claim = LocalClaim(endpoint, path=path) if is_exclusive else None
    return PushServer(
        ServerConfig(
            path=path,
            max_message_size=config.MAX_MESSAGE_SIZE,
            max_subscriptions=config.MAX_SUBSCRIPTIONS,
            max_channels=config.MAX_CHANNELS,
            max_connections=config.MAX_CONNECTIONS,
            max_connections_per_address=config.MAX_CONNECTIONS_PER_ADDRESS,
            max_connections_per_user=config.MAX_CONNECTIONS_PER_USER,
            max_pending=config.MAX_PENDING,
            ping_interval=config.PING_INTERVAL,
            refresh_rate=config.REFRESH_RATE,
            explain=settings.DEBUG,
            public_events=config.CLIENT_EVENTS == "public",
        ),
        authorize=authority.authorize,
        origin_allowed=origin_allowed,
        feed=feed,
        authority=ProjectAuthority(),
        publish_endpoint=endpoint,
        claim=claim,
        takers=_make_takers(config),
    )


class ProjectAuthority:
    """What the push server asks about rights: the access half, under the names that the server knows."""

    def __init__(self) -> None:
        self.control_channel = control.control_channel()
        self.open_control = control.open_control
        self.resume_token = tokens.make_resume_token
        self.renew_unasked = authority.renew_unasked
        self.ask = authority.ask
        self.find_changed = sweep.find_changed


def make_feed(config: Config) -> Feed:
    """
    Make what a push server of this configuration hears publications by.

    Raises:
        ImproperlyConfigured: If ``BROKER`` names nothing that can be heard.
    """
    try:
        return brokers.make_feed(config)
    except (LookupError, ValueError) as error:
        raise ImproperlyConfigured(f"JUGPUSH['BROKER']: {error}.") from error


def _make_takers(config: Config) -> list[Taker]:
    """Return those who are told what clients do: the project, and where there is a Redis, programs of 2011."""
    takers: list[Taker] = [SignalSender()]
    if is_redis(config.BROKER) and config.LEGACY_CHANNEL is not None and not config.has_tenants:
        from .brokers.juggernaut2011 import Juggernaut2011Notices  # redis-py takes its time to be imported

        takers.append(Juggernaut2011Notices(config.BROKER, key=config.LEGACY_CHANNEL))
    return takers


def make_push_thread() -> PushThread:
    """Put together what ``runserver`` runs beside the web server."""
    push = make_push_server(is_exclusive=False)
    return PushThread(push, path=push.config.path, options=uvicorn_options(push))


def push_application(application: ASGIApplication, *, push: ASGIApplication | None = None) -> ASGIApplication:
    """
    Mount a push server under the path of ``PUBLIC_URL``; everything else goes to ``application``.

    The push server starts with its first connection, or with the HTTP server where that speaks ASGI's lifespan, which
    is answered here: Django's application does not know it.

    Args:
        application: The project's, from ``get_asgi_application()``.
        push: What to mount; by default a push server of its own.

    Raises:
        ImproperlyConfigured: If ``PUBLIC_URL`` has no path, so that nothing would be left for ``application``.
    """
    path = get_config().mount_path
    if path == "/":
        raise ImproperlyConfigured("push_application() needs a path in JUGPUSH['PUBLIC_URL'], such as '/juggernaut/'.")
    mounted = push or make_push_server()

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "lifespan" or scope["path"].startswith(path)
        await (mounted if is_ours else application)(scope, receive, send)

    return route
