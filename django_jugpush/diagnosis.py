"""
What ``manage.py juggernaut_doctor`` finds out: the whole way of a publication, tried step by step.

Each step is a function that returns what it found as a :class:`Finding`. A step whose way is blocked by one before it
is not tried.
"""

from __future__ import annotations

import asyncio
import enum
import http.client
import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.core.exceptions import ImproperlyConfigured
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from . import checks
from .access.origins import origin_allowed
from .access.tokens import make_subscription_token
from .brokers import is_redis, make_feed
from .brokers.base import Broker, Feed
from .brokers.redis.eviction import NO_EVICTION, eviction_policy
from .conf import get_config, get_namespace
from .core.codes import DisconnectCode, ErrorCode
from .core.publication import Publication
from .exceptions import BrokerError
from .publishing.delivery import get_broker
from .publishing.publisher import publish
from .rendezvous import find_servers

__all__ = ["Finding", "Outcome", "diagnose"]

TIMEOUT = 5.0
"""Seconds that each answer is waited for."""

DEFAULT_SERVER = "http://127.0.0.1:8080"
"""Where ``manage.py juggernaut`` listens unless told otherwise."""

FOREIGN_ORIGIN = "https://juggernaut-doctor.invalid"


class Outcome(enum.Enum):
    """How a step ended."""

    GOOD = "good"
    ADVICE = "advice"
    FAILED = "failed"
    SKIPPED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one step found."""

    step: str
    outcome: Outcome
    text: str
    remedy: str = ""
    """What to do; empty if all is well."""


class _Trouble(Exception):
    """A step failed: the first argument says how, the second what to do."""


def diagnose(*, site: str | None = None) -> Iterator[Finding]:
    """
    Try every step, and yield each finding as soon as it is there.

    Args:
        site: Where browsers find the site, such as ``https://www.example.com``; by default guessed from the settings.
    """
    yield from check_settings()
    try:
        get_config()
    except ImproperlyConfigured:
        return
    broker = check_broker()
    yield broker
    if is_redis(get_config().BROKER) and broker.outcome is not Outcome.FAILED:
        yield check_memory()
    yield check_server()
    site = site or guess_site()
    if site is None:
        why = "It is not known where the site is, so the way of a browser was not tried."
        yield Finding(step="Connection", outcome=Outcome.SKIPPED, text=why, remedy="Add --url https://www.example.com.")
        return
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(site if "://" in site else f"https://{site}"))
    address = push_address(origin)
    way = check_connection(address, origin)
    yield way
    if way.outcome is Outcome.GOOD:
        yield check_origins(address, origin)
    if Outcome.FAILED in (way.outcome, broker.outcome):
        yield Finding(step="Round trip", outcome=Outcome.SKIPPED, text="Its way is blocked.")
    else:
        yield check_round_trip(address, origin)


def check_settings() -> Iterator[Finding]:
    """Run the system checks, with those for deployment unless ``DEBUG`` is on."""
    messages = run_checks(tags=[checks.TAG], include_deployment_checks=not settings.DEBUG)
    for message in messages:
        outcome = Outcome.FAILED if message.level >= ERROR else Outcome.ADVICE
        text = f"{message.msg} ({message.id})"
        yield Finding(step="Settings", outcome=outcome, text=text, remedy=message.hint or "")
    if not messages:
        yield Finding(step="Settings", outcome=Outcome.GOOD, text="The system checks have nothing to say.")


def check_broker() -> Finding:
    """Publish through the broker, and where that is a Redis, hear it there."""
    config = get_config()
    try:
        if config.BROKER and config.BROKER.startswith("dummy:"):
            raise _Trouble("It is the one for tests: nothing is sent anywhere.", "Set JUGPUSH['BROKER'] to a Redis.")
        broker = get_broker()
        broker.publish([_publication()])
        if is_redis(config.BROKER):
            return _check_hearing(broker, make_feed(config))
    except (BrokerError, ImproperlyConfigured) as error:
        return _failed("Broker", _sentence(error), _broker_remedy(str(error), config.BROKER))
    except _Trouble as trouble:
        return _failed("Broker", *trouble.args)
    taker = "A push server" if config.BROKER is None else "The broker"
    return Finding(step="Broker", outcome=Outcome.GOOD, text=f"{taker} takes publications.")


def check_memory() -> Finding:
    """See that Redis forgets nothing without a trace when it is full."""
    try:
        policy = eviction_policy((get_config().BROKER or "").removeprefix("juggernaut+"))
    except BrokerError as error:
        return Finding(
            step="Memory",
            outcome=Outcome.SKIPPED,
            text=f"It is not known whether Redis throws anything away when it is full. {_sentence(error)}",
            remedy=f"See that its `maxmemory-policy` is {NO_EVICTION}; or give the account the right to `info`.",
        )
    if policy != NO_EVICTION:
        return Finding(
            step="Memory",
            outcome=Outcome.ADVICE,
            text=f"When Redis is full it throws keys away ({policy}), also those that say that a page missed "
            "something: it may not be told.",
            remedy=f"Set `maxmemory-policy {NO_EVICTION}`; a cache that needs another policy needs another Redis.",
        )
    return Finding(step="Memory", outcome=Outcome.GOOD, text="Redis throws nothing away when it is full.")


def check_server() -> Finding:
    """Ask the push server whether it is ready, past any proxy."""
    config = get_config()
    url = config.SERVER_URL or DEFAULT_SERVER + config.mount_path
    status, text = _get(urljoin(url, "readyz"))
    if status == 200:
        return Finding(step="Server", outcome=Outcome.GOOD, text=f"The push server at {url} is ready.")
    if status == 503:
        return _failed("Server", f"The push server at {url} is not ready: {text}.", _unready_remedy(text))
    answer = text if status is None else f"the answer's status is {status}"
    if config.SERVER_URL is None:
        return Finding(
            step="Server",
            outcome=Outcome.SKIPPED,
            text=f"There is none at {url} ({answer}), which is well if it is elsewhere.",
            remedy="If it should be there, start `manage.py juggernaut`. If not, SERVER_URL can say where it is.",
        )
    return _failed(
        "Server",
        f"There is no push server at {url}: {answer}.",
        "Start `manage.py juggernaut`, or mend JUGPUSH['SERVER_URL'], whose path is that of PUBLIC_URL.",
    )


def guess_site() -> str | None:
    """Return the site's origin as far as the settings tell it."""
    for origin in [*settings.CSRF_TRUSTED_ORIGINS, *get_config().ALLOWED_ORIGINS]:
        if "://" in origin and "*" not in origin:
            return str(origin)
    for host in settings.ALLOWED_HOSTS:
        if not host.startswith((".", "*")):
            return f"https://{host}"
    return next(iter(find_servers()), None) if settings.DEBUG else None


def push_address(origin: str) -> str:
    """Return the address of the WebSocket that a page of ``origin`` connects to."""
    url = urljoin(origin, get_config().PUBLIC_URL)
    return f"{url.replace('http', 'ws', 1)}websocket?protocol=1"


def check_connection(address: str, origin: str) -> Finding:
    """Connect as a page of ``origin`` does."""
    try:
        with _connection(address, origin) as connection:
            _greet(connection)
    except _Trouble as trouble:
        return _failed("Connection", *trouble.args)
    shown = address.partition("?")[0]
    return Finding(step="Connection", outcome=Outcome.GOOD, text=f"A page of {origin} can connect to {shown}.")


def check_origins(address: str, origin: str) -> Finding:
    """See that pages are kept out that should be: foreign ones, and those that came without TLS to a site with it."""
    unsafe = origin.replace("https:", "http:", 1)
    try:
        if _lets_in(address, FOREIGN_ORIGIN):
            raise _Trouble(
                "The push server lets pages of foreign sites connect.",
                "Give it the settings of the site: it allows what ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS and "
                "JUGPUSH['ALLOWED_ORIGINS'] name there.",
            )
        is_secret = unsafe != origin and not origin_allowed(unsafe, scheme="https", headers={})
        if is_secret and _lets_in(address, unsafe):
            raise _Trouble(
                f"The push server does not know that browsers come by HTTPS: it lets a page of {unsafe} connect, which "
                "anybody on the way to the visitor can make.",
                "Have the proxy send `X-Forwarded-Proto`, in nginx: `proxy_set_header X-Forwarded-Proto $scheme;`, and "
                "name the proxy in --trusted-proxies of `manage.py juggernaut` unless it is on the same machine.",
            )
    except _Trouble as trouble:
        return _failed("Origins", *trouble.args)
    return Finding(step="Origins", outcome=Outcome.GOOD, text="Pages of other origins are kept out.")


def check_round_trip(address: str, origin: str) -> Finding:
    """Subscribe to a channel of its own as a page does, publish to it as a view does, and wait for the message."""
    channel = _channel()
    try:
        with _connection(address, origin) as connection:
            _greet(connection)
            _subscribe(connection, channel)
            began = time.monotonic()
            publish(channel, {"doctor": True}, on_commit=False, raise_on_error=True)
            _wait_for(connection, lambda message: message.get("channel") == channel and "data" in message)
            took = (time.monotonic() - began) * 1000
    except TimeoutError:
        return _failed(
            "Round trip",
            "What was published did not arrive.",
            "Let the push server and this process have the same broker: the same Redis, database number and NAMESPACE; "
            "or, without a Redis, one push server only, which SERVER_URL names.",
        )
    except BrokerError as error:
        return _failed("Round trip", _sentence(error), _broker_remedy(str(error), get_config().BROKER))
    except _Trouble as trouble:
        return _failed("Round trip", *trouble.args)
    text = f"What was published arrived {took:.0f} ms later."
    return Finding(step="Round trip", outcome=Outcome.GOOD, text=text)


# The broker


def _check_hearing(broker: Broker, feed: Feed) -> Finding:
    try:
        asyncio.run(_publish_and_hear(broker, feed))
    except TimeoutError:
        return Finding(
            step="Broker",
            outcome=Outcome.ADVICE,
            text="Redis takes publications, but with this account they cannot be heard.",
            remedy="That is well if the account may not subscribe, as the one for Django in docs/howto/deploy.",
        )
    return Finding(step="Broker", outcome=Outcome.GOOD, text="Redis takes publications and hands them on.")


async def _publish_and_hear(broker: Broker, feed: Feed) -> None:
    publication = _publication()
    heard = asyncio.Event()

    def listen(publications: Sequence[Publication]) -> None:
        if any(one.id == publication.id for one in publications):
            heard.set()

    await feed.start(listen)
    try:
        async with asyncio.timeout(TIMEOUT):
            feed.listen([publication.full_name])
            await feed.ready(publication.full_name)
            await asyncio.to_thread(broker.publish, [publication])
            await heard.wait()
    finally:
        await feed.stop()


def _publication() -> Publication:
    return Publication(id=secrets.token_urlsafe(16), channel=_channel(), namespace=get_namespace())


def _channel() -> str:
    return f"jugpush:doctor-{secrets.token_hex(8)}"


def _broker_remedy(error: str, url: str | None) -> str:
    if url is None:
        return "Start `manage.py juggernaut`; or use a Redis: JUGPUSH = {'BROKER': 'redis://127.0.0.1:6379/0'}."
    if "NOAUTH" in error or "WRONGPASS" in error or "invalid username-password" in error:
        return "Put the account's name and password into JUGPUSH['BROKER']: redis://name:password@host:6379/0."
    if "NOPERM" in error:
        return "Give the account what docs/howto/deploy lists; the channels begin with NAMESPACE."
    return "Start Redis, or mend JUGPUSH['BROKER']: host, port, and whether a firewall stands between."


# The push server


def _get(url: str) -> tuple[int | None, str]:
    """Return status and text of an answer; None and why, if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT) as response:
            return response.status, _text(response.read(1000))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _text(error.read(1000))
    except urllib.error.URLError as error:
        return None, str(error.reason)
    except (OSError, http.client.HTTPException) as error:
        return None, _sentence(error).rstrip(".")


def _unready_remedy(obstacle: str) -> str:
    if "broker" in obstacle:
        return "See what `manage.py juggernaut` says; from its machine, with its settings, Redis cannot be heard."
    if "another process" in obstacle:
        return "Set JUGPUSH['BROKER'] to a Redis, or run one process: one worker, or one `manage.py juggernaut`."
    return "Wait until it is, or see what it says."


# The way of a browser


def _connection(address: str, origin: str) -> ClientConnection:
    try:
        return connect(
            address, origin=Origin(origin), open_timeout=TIMEOUT, close_timeout=1, compression=None, proxy=None
        )
    except InvalidStatus as error:
        raise _Trouble(*_explain_status(error.response.status_code, address)) from error
    except InvalidURI as error:  # where a redirect leads that the library follows: to http:// or https://
        raise _Trouble(*_explain_status(301, address)) from error
    except InvalidHandshake as error:
        raise _Trouble(
            f"What answers at {_host(address)} speaks no WebSocket: {error}.",
            "Send the path of PUBLIC_URL to the push server.",
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise _Trouble(
            f"The certificate of {_host(address)} is not trusted here: {error.verify_message.rstrip('.')}.",
            "Mend the certificate; if it is a private one, name its authority in the environment: SSL_CERT_FILE=….",
        ) from error
    except (OSError, EOFError, TimeoutError) as error:
        raise _Trouble(
            f"Nobody can be reached at {_host(address)}: {_sentence(error)}",
            "Start the proxy; or say where the site is with --url, or the push server with JUGPUSH['PUBLIC_URL'].",
        ) from error


def _explain_status(status: int, address: str) -> tuple[str, str]:
    path = urlsplit(address).path.removesuffix("websocket")
    match status:
        case 426:
            return (
                "The push server is reached, but the proxy drops the headers that make a WebSocket of a request.",
                "In nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
                'proxy_set_header Connection "upgrade";`.',
            )
        case 502 | 503 | 504:
            return (
                f"The proxy does not reach the push server: it answers with status {status}.",
                f"Start `manage.py juggernaut`, and see where the proxy sends {path}.",
            )
        case 301 | 302 | 307 | 308:
            return (
                "The address of the push server answers with a redirect, which no browser follows for a WebSocket.",
                "Give the site's final address: --url https://…, or JUGPUSH['PUBLIC_URL'].",
            )
        case 404:
            return (
                f"Nobody has a push server at {path}: the answer's status is 404.",
                f"Have the proxy send {path} to the push server. As it is, Django gets it; or the path of "
                "PUBLIC_URL is another there.",
            )
    return (
        f"The address of the push server answers with status {status}.",
        f"See what stands between: a login, a firewall, or a proxy that sends {path} elsewhere.",
    )


def _greet(connection: ClientConnection) -> None:
    """Wait for the push server's first word."""
    try:
        first = _wait_for(connection, lambda message: message.get("type") in ("connected", "disconnect"))
    except TimeoutError:
        raise _Trouble("The connection opens, but the push server says nothing.", "See its log.") from None
    if first["type"] == "disconnect":
        raise _Trouble(*_explain_disconnect(first, str(connection.request and connection.request.headers["Origin"])))


def _explain_disconnect(message: dict[str, Any], origin: str) -> tuple[str, str]:
    match message.get("code"):
        case DisconnectCode.ORIGIN_DENIED if origin_allowed(origin, scheme=urlsplit(origin).scheme, headers={}):
            return (
                f"The push server does not let pages of {origin} connect, though these settings allow it.",
                "Give it the settings of the site, and start it again. If pages come by HTTP and the proxy says HTTPS, "
                "mend X-Forwarded-Proto.",
            )
        case DisconnectCode.ORIGIN_DENIED:
            return (
                f"The push server does not let pages of {origin} connect.",
                f"Add the host to ALLOWED_HOSTS, or {origin!r} to CSRF_TRUSTED_ORIGINS or JUGPUSH['ALLOWED_ORIGINS'].",
            )
        case DisconnectCode.NOT_THE_SERVER:
            return ("The push server sends clients away: another process is it.", _unready_remedy("another process"))
    return (f"The push server sends clients away: {message.get('message')}.", "See its log.")


def _lets_in(address: str, origin: str) -> bool:
    with _connection(address, origin) as connection:
        try:
            first = _wait_for(connection, lambda message: message.get("type") in ("connected", "disconnect"))
        except TimeoutError:
            return False
    return bool(first["type"] == "connected")


def _subscribe(connection: ClientConnection, channel: str) -> None:
    token = make_subscription_token(channel, granted_by="page", now=time.time(), lifetime=60)
    connection.send(json.dumps({"type": "subscribe", "id": 1, "channel": channel, "token": token}))
    try:
        answer = _wait_for(connection, lambda message: message.get("id") == 1)
    except TimeoutError:
        raise _Trouble("The push server does not answer a subscription.", "See its log.") from None
    if answer["type"] == "subscribed":
        return
    match answer.get("code"):
        case ErrorCode.DENIED:
            raise _Trouble(
                "The push server does not take what these settings sign.",
                "Give it the same SECRET_KEY (or name the other one in SECRET_KEY_FALLBACKS) and the same NAMESPACE, "
                "and start it again. The clocks of the two machines may differ as well.",
            )
        case ErrorCode.TOKEN_EXPIRED:
            raise _Trouble("The clock of the push server is ahead of this one.", "Have both machines keep time by NTP.")
    raise _Trouble(f"The push server refuses a subscription: {answer.get('message')}.", "See its log.")


def _wait_for(connection: ClientConnection, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """
    Return the first message that is meant.

    Raises:
        TimeoutError: If it does not come in time.
    """
    deadline = time.monotonic() + TIMEOUT
    while (remaining := deadline - time.monotonic()) > 0:
        try:
            message: dict[str, Any] = json.loads(connection.recv(timeout=remaining))
        except ConnectionClosed as error:
            raise _Trouble(
                f"The connection was closed: {error}.", "See the logs of the proxy and the push server."
            ) from error
        except ValueError as error:
            raise _Trouble(
                "What answers is no push server of this project.", "See where the proxy sends the path."
            ) from error
        if is_it(message):
            return message
    raise TimeoutError


# Words


def _failed(step: str, text: str, remedy: str) -> Finding:
    return Finding(step=step, outcome=Outcome.FAILED, text=text, remedy=remedy)


def _host(address: str) -> str:
    return urlsplit(address).netloc


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
