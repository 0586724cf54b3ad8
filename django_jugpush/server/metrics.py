"""
What a push server tells its operators, in Prometheus's text format.

Labels come from closed tables only: no channel, user, origin or path is ever one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from django_jugpush.core.codes import DisconnectCode, ErrorCode
from django_jugpush.core.commands import Command
from django_jugpush.core.control import Kind

from .asgi import answer, serve_health
from .guard import Drop
from .types import Receive, Scope, Send

if TYPE_CHECKING:
    from .app import PushServer

__all__ = ["COMMAND_TYPES", "OpsApplication", "ServerCollector"]

COMMAND_TYPES = ("", *(str(word.__struct_config__.tag) for word in get_args(Command)))
"""What a client's message may be; the first is none of the commands."""


class ServerCollector(Collector):
    """Looks at a push server when it is asked, so that nothing is counted twice and the fan-out pays nothing."""

    def __init__(self, server: PushServer) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its value of this moment."""
        server, counts = self._server, self._server.counts
        yield _gauge("connections", "Open connections.", len(server.connections))
        yield _gauge("sessions", "Connected clients.", len(server.hub))
        yield _gauge("subscriptions", "Subscriptions of clients.", sum(len(session.grants) for session in server.hub))
        yield _gauge("channels", "Channels with subscriptions.", len(server.hub.channels()))
        yield _gauge("broker_connected", "Whether publications are heard.", int(server.is_connected))
        yield _gauge("servers", "Push servers that share the rate, as this one counts them.", server.feed.servers)
        yield _gauge("ready", "Whether clients may be sent here.", int(not server.obstacle))
        yield _counter("publications_received", "Publications that came from the broker.", counts.received)
        yield _counter("publications_delivered", "Publications handed to connections.", counts.delivered)
        commands = {type or "none": counts.commands[type] for type in COMMAND_TYPES}
        yield _counters("commands", "Messages of clients, by type; none is no command.", "type", commands)
        errors = {code.name: counts.errors[code] for code in ErrorCode}
        yield _counters("errors", "Commands that were refused.", "code", errors)
        refused = {code.name: counts.refused[code] for code in DisconnectCode}
        yield _counters("refused", "Connections that were refused.", "code", refused)
        dropped = {drop.value: server.guard.dropped[drop] for drop in Drop}
        yield _counters("dropped", "Connections that were dropped below the protocol.", "reason", dropped)
        ended = {code.name if code else "NONE": counts.ended[code] for code in (None, *DisconnectCode)}
        yield _counters("disconnects", "Connections that ended; NONE is by the client.", "code", ended)
        yield from _rights_metrics(server)


def _rights_metrics(server: PushServer) -> Iterable[Metric]:
    counts, rights = server.counts, server.rights
    control = {kind: counts.control[kind] for kind in (*get_args(Kind), "dropped")}
    yield _counters("control_messages", "Messages about logins and rights, by kind.", "kind", control)
    stopped = {code.name: counts.stopped[code] for code in ErrorCode}
    yield _counters("subscriptions_ended", "Subscriptions that the server ended.", "code", stopped)
    renewals = {outcome: counts.renewals[outcome] for outcome in ("renewed", "ended", "put_off")}
    yield _counters("renewals", "Renewals of subscriptions, by outcome.", "outcome", renewals)
    yield _gauge("questions", "Questions to the project that wait.", rights.waiting)
    yield _gauge("rights_known", "Whether it is heard what happens to rights.", int(not rights.is_blind))


class OpsApplication:
    """The ASGI application for operators: ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(self, server: PushServer) -> None:
        self._server = server
        self._registry = CollectorRegistry()
        self._registry.register(ServerCollector(server))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/healthz" | "/readyz" as path:
                await serve_health(self._server.life, path, send)
            case "/metrics":
                await answer(send, 200, generate_latest(self._registry).decode(), CONTENT_TYPE_LATEST)
            case _:
                await answer(send, 404, "")


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"jugpush_{name}", help, value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(f"jugpush_{name}", help, value)


def _counters(name: str, help: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"jugpush_{name}", help, labels=[label])
    for text, value in values.items():
        family.add_metric([text], value)
    return family
