"""``manage.py runserver``, whichever app provides it, with push on the same port."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps

from django_jugpush import asgi
from django_jugpush.devserver import PushThread, carry_push
from django_jugpush.management.summary import broker_name, tally


def next_runserver() -> Any:
    """Return the ``Command`` that would be used if django_jugpush had none."""
    names = [config.name for config in apps.get_app_configs()]
    for name in [*names[names.index("django_jugpush") + 1 :], "django.core"]:
        module = f"{name}.management.commands.runserver"
        try:
            return import_module(module).Command
        except ModuleNotFoundError as error:
            if error.name and not module.startswith(error.name):
                raise  # the app has the command, but the command lacks something
    raise AssertionError("django.core has a runserver")


if TYPE_CHECKING:
    from django.core.management.commands.runserver import Command as NextCommand
else:
    NextCommand = next_runserver()


class Command(NextCommand):
    """
    Serve push as well.

    Only the process that serves comes to the methods below: not the autoreloader's parent. A WSGI server calls the
    first two, an ASGI server such as daphne's the third.
    """

    push: PushThread

    def get_handler(self, *args: Any, **options: Any) -> Any:
        handler = super().get_handler(*args, **options)
        self.push = asgi.make_push_thread()
        self.server_cls = carry_push(self.server_cls, self.push)
        return handler

    def on_bind(self, server_port: int) -> None:
        super().on_bind(server_port)
        self.start_push()

    def get_application(self, options: Any) -> Any:
        application = super().get_application(options)  # type: ignore[misc]
        self.push = asgi.make_push_thread()
        self.start_push()
        return asgi.push_application(application, push=self.push) if self.push.is_running else application

    def start_push(self) -> None:
        """Start the push server and say in one line how that went; the site is served without it too."""
        if self.push.path == "/":
            self.stdout.write("Push: not served here, since PUBLIC_URL has no path of its own")
            return
        try:
            self.push.start()
        except OSError as error:
            self.stderr.write(f"Push: not available, the site is served without it: {error}")
        else:
            self.stdout.write(f"Push: ready ({broker_name()} broker), {tally()}")
