"""
Where the halves of a push server meet, and how it is mounted in an ASGI application.

::

    application = push_application(get_asgi_application())
"""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urlsplit

from django.conf import settings

from .access.authority import authorize
from .access.origins import origin_allowed
from .brokers.local import LocalFeed
from .conf import derived_keys, get_config
from .devserver import PushThread
from .server.app import PushServer, ServerConfig, uvicorn_options
from .server.publish import PublishEndpoint
from .server.types import ASGIApplication, Receive, Scope, Send

__all__ = ["make_push_server", "make_push_thread", "push_application"]


def mount_path() -> str:
    """Return the path of ``PUBLIC_URL``."""
    return urlsplit(get_config().PUBLIC_URL).path


def make_push_server() -> PushServer:
    """Put a push server together from the project's configuration."""
    config = get_config()
    feed = LocalFeed()
    endpoint = PublishEndpoint(
        derived_keys("publish"),
        feed,
        allowed_networks=[ip_network(network, strict=False) for network in config.PUBLISH_FROM],
    )
    server_config = ServerConfig(
        path=mount_path(),
        max_message_size=config.MAX_MESSAGE_SIZE,
        max_subscriptions=config.MAX_SUBSCRIPTIONS,
        max_pending=config.MAX_PENDING,
        ping_interval=config.PING_INTERVAL,
        explain=settings.DEBUG,
    )
    return PushServer(
        server_config, authorize=authorize, origin_allowed=origin_allowed, feed=feed, publish_endpoint=endpoint
    )


def make_push_thread() -> PushThread:
    """Put together what ``runserver`` runs beside the web server."""
    push = make_push_server()
    return PushThread(push, path=push.config.path, options=uvicorn_options(push.config))


def push_application(application: ASGIApplication, *, push: ASGIApplication | None = None) -> ASGIApplication:
    """
    Mount a push server under the path of ``PUBLIC_URL``; everything else goes to ``application``.

    The push server starts with the first connection. Servers that speak ASGI's lifespan are answered here, since
    Django's application knows nothing of it.
    """
    path = mount_path()
    server = push or make_push_server()

    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith(path):
            await server(scope, receive, send)
        else:
            await application(scope, receive, send)

    return mounted
