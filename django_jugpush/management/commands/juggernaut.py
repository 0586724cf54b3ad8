"""``manage.py juggernaut``: the push server in a process of its own."""

from __future__ import annotations

import argparse
import socket
import ssl
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_jugpush import asgi
from django_jugpush.brokers import find_class, is_redis
from django_jugpush.management.summary import broker_name, tally
from django_jugpush.server.app import PushServer
from django_jugpush.server.listener import Listener
from django_jugpush.server.metrics import OpsApplication
from django_jugpush.server.proxies import DEFAULT_PROXIES, parse_proxies
from django_jugpush.server.serve import (
    Server,
    bind,
    make_config,
    raise_file_limit,
    remove_dead_socket,
    spare_garbage_collector,
)


class Command(BaseCommand):
    help = "Holds the connections of browsers: the push server, in a process of its own."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--host", default="127.0.0.1", help="Address to listen on (default: %(default)s).")
        add("--port", type=int, default=8080, help="Port to listen on (default: %(default)s).")
        add("--unix", metavar="PATH", help="Unix socket to listen on, in the place of host and port.")
        add("--broker", metavar="URL", help="In the place of BROKER. Other users can read it in the process list.")
        add("--path", help="Where it is mounted, in the place of the path of PUBLIC_URL.")
        add(
            "--drain-timeout",
            type=_seconds,
            default=10.0,
            metavar="SECONDS",
            help="How long clients have to leave when the server is told to stop (default: %(default)g).",
        )
        add("--certificate", metavar="FILE", help="TLS certificate with its chain, in PEM.")
        add("--key", metavar="FILE", help="The certificate's private key, if it is not in the same file.")
        add(
            "--trusted-proxies",
            type=_proxies,
            default=list(DEFAULT_PROXIES),
            metavar="LIST",
            help="Addresses and networks, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are "
            f"believed; unix stands for Unix sockets, * for everybody (default: {','.join(DEFAULT_PROXIES)}).",
        )
        add(
            "--ops-bind",
            type=_address,
            metavar="[HOST:]PORT",
            help="Where /metrics, /healthz and /readyz are served for operators; the host is 127.0.0.1 unless said.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            push = self.make_push(options)
            self.serve(push, options)
        except (OSError, ImproperlyConfigured) as error:
            raise CommandError(f"The push server cannot start: {error}") from error

    def make_push(self, options: dict[str, Any]) -> PushServer:
        """Put the push server together."""
        broker = options["broker"]
        if broker and not is_redis(broker):
            try:
                find_class(broker)
            except LookupError as error:
                raise CommandError(f"--broker: {error}.") from error
        path = f"/{options['path'].strip('/')}/".replace("//", "/") if options["path"] is not None else None
        return asgi.make_push_server(broker=broker, path=path)

    def serve(self, push: PushServer, options: dict[str, Any]) -> None:
        """Serve until a signal comes."""
        tls = _tls_options(options)
        raise_file_limit()
        listeners = []
        if options["ops_bind"]:
            listeners = [Listener(OpsApplication(push), sock) for sock in bind(*options["ops_bind"])]
        if options["unix"]:
            remove_dead_socket(Path(options["unix"]))
            tls["uds"], sockets, where = options["unix"], None, f"unix:{options['unix']} at "
        else:
            sockets = bind(options["host"], options["port"])
            where = _url(sockets[0], options["host"], is_tls="ssl_certfile" in tls)

        def report(obstacle: str) -> None:
            if obstacle:
                self.stderr.write(f"Push: not ready: {obstacle}")
            else:
                broker = broker_name(options["broker"])
                self.stdout.write(f"Push: ready on {where}{push.config.path} ({broker} broker), {tally()}")
                self.stdout.flush()

        config = make_config(push, proxies=options["trusted_proxies"], **tls)
        server = Server(config, push, drain_timeout=options["drain_timeout"], report=report, listeners=listeners)
        spare_garbage_collector()
        server.run(sockets)
        if options["unix"]:
            Path(options["unix"]).unlink(missing_ok=True)


def _tls_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the TLS options of uvicorn, after a look at the files: its own error names neither."""
    certificate, key = options["certificate"], options["key"]
    if key and not certificate:
        raise CommandError("--key needs --certificate.")
    if not certificate:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        raise CommandError(f"--certificate {certificate}{f' --key {key}' if key else ''}: {error}") from error
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


def _url(sock: socket.socket, host: str, *, is_tls: bool) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if is_tls else 'http'}://{host}:{sock.getsockname()[1]}"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 3600:
        raise argparse.ArgumentTypeError("must be a number of seconds, less than an hour")
    return seconds


def _proxies(text: str) -> list[str]:
    try:
        return parse_proxies(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        return host.strip("[]") or "127.0.0.1", int(port)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not [HOST:]PORT") from error
