"""``push.py`` is found, and one that fails is mended while runserver waits."""

from __future__ import annotations

import os
import sys
import textwrap
import time

import pytest
from django.utils.autoreload import StatReloader, autoreload_started

from django_jugpush import discovery
from django_jugpush.publishing import receivers, registry
from tests.ports import free_port

GOOD = """
    import django_jugpush as push
    from tests.app.models import Note
    push.register(Note)(push.ModelPush)
"""


@pytest.fixture
def discover(monkeypatch, tmp_path, settings):
    """Return a function that makes an app with a ``push.py``, and looks for it."""
    monkeypatch.setattr(discovery, "failures", [])
    monkeypatch.setattr(discovery, "idle", [])
    monkeypatch.setattr(registry, "bindings", dict(registry.bindings))
    monkeypatch.setattr(autoreload_started, "receivers", list(autoreload_started.receivers))
    monkeypatch.syspath_prepend(tmp_path)
    before = set(registry.bindings.values())

    def discover(name, text, **others):
        app = tmp_path / name
        app.mkdir()
        (app / "__init__.py").touch()
        for module, content in {"push": text, **others}.items():
            (app / f"{module}.py").write_text(textwrap.dedent(content))
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, name]  # which runs AppConfig.ready() again
        return app

    yield discover
    for binding in set(registry.bindings.values()) - before:
        receivers.disconnect(binding)
    for name in [name for name in sys.modules if name.startswith("discovered")]:
        del sys.modules[name]


def test_a_module_is_imported_once(discover):
    """And what it registers counts."""
    count = registry.counts()
    discover("discovered1", GOOD)
    discovery.autodiscover()
    assert registry.counts() == count + 1
    assert (discovery.failures, discovery.idle) == ([], [])


def test_an_app_without_one_is_no_problem(discover):
    """Most have none."""
    discover("discovered2", GOOD).joinpath("push.py").unlink()
    assert discovery.failures == []


def test_a_module_that_registers_nothing_is_remembered(discover):
    """For a check."""
    discover("discovered3", "x = 1")
    assert discovery.idle == ["discovered3.push"]


def test_a_module_that_declares_a_channel_registers_something(discover, monkeypatch):
    """Not all is about models."""
    from django_jugpush import declarations

    monkeypatch.setattr(declarations, "_channels", [])
    discover("discovered4", "import django_jugpush as push\npush.channel('banner', public=True)")
    assert discovery.idle == []


@pytest.mark.parametrize(
    ("text", "others", "culprit", "error"),
    [
        ("import nowhere", {}, "push.py", "ModuleNotFoundError: No module named 'nowhere'"),
        ("x = (", {}, "push.py", "SyntaxError"),
        ("from . import helpers", {"helpers": "1 / 0"}, "helpers.py", "ZeroDivisionError"),
        ("from . import helpers", {"helpers": "x = ("}, "helpers.py", "SyntaxError"),
    ],
)
def test_a_module_that_fails_is_remembered_and_watched(discover, caplog, text, others, culprit, error):
    """The rest of the site starts, and runserver sees when it is mended."""
    app = discover("discovered5", text, **others)
    [failure] = discovery.failures
    assert failure.module == "discovered5.push"
    assert error in failure.last_lines and str(app / culprit) in failure.last_lines
    assert error in caplog.text
    reloader = StatReloader()
    autoreload_started.send(reloader)

    assert app / culprit in reloader.extra_files


@pytest.mark.processes
def test_runserver_goes_on_when_the_module_is_mended(tmp_path):
    """No need to start it again."""
    from tests.runserver.conftest import Server

    port = free_port()
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "push.py").write_text("from django_jugpush import chanel\n")
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'x'\nDEBUG = True\nINSTALLED_APPS = ['django_jugpush', 'shop']\n"
        "ROOT_URLCONF = 'site_urls'\nDATABASES = {}\n"
    )
    (tmp_path / "site_urls.py").write_text("urlpatterns = []\n")
    server = Server(
        ["-m", "django", "runserver", f"127.0.0.1:{port}"],
        cwd=tmp_path,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "site_settings", "PYTHONPATH": str(tmp_path)},
        url=f"127.0.0.1:{port}",
    )
    try:
        server.wait_for(r"jugpush\.E005")
        server.wait_for(r"cannot import name 'chanel'")
        give_up = time.monotonic() + 30
        # Again and again, since the reloader may not have looked at the file before.
        while "Push: ready" not in server.output and time.monotonic() < give_up:
            (shop / "push.py").write_text("from django_jugpush import channel\nchannel('banner', public=True)\n")
            time.sleep(0.5)
        server.wait_for(r"Push: ready \(local broker\), 0 models, 1 channel")
    finally:
        server.kill()
