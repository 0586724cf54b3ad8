from __future__ import annotations

import os
import socket
import stat

import pytest
from django.test import override_settings

from django_jugpush.rendezvous import announce, find_servers, withdraw


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A shared directory for temporary files, such as ``/tmp``."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def url():
    """The address of something that is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/juggernaut/"


def test_announced_server_is_found_until_it_withdraws(url):
    file = announce(url)
    assert find_servers() == [url]
    withdraw(file)
    assert find_servers() == []


def test_nobody_else_can_read_it(url):
    """Neither the directory nor the file."""
    file = announce(url)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_every_server_is_found(url):
    """Two servers of one project have a file each."""
    announce(url)
    announce(url)
    assert find_servers() == [url, url]


@pytest.mark.parametrize(
    "settings", [{"SECRET_KEY": "another"}, {"BASE_DIR": "/elsewhere"}, {"JUGPUSH": {"NAMESPACE": "staging"}}]
)
def test_server_of_another_project_is_not_found(url, settings):
    """A key, a directory and a namespace make a project."""
    with override_settings(**settings):
        announce(url)
    assert find_servers() == []


def test_server_is_found_while_keys_are_rotated(url, settings):
    """A process that has the new key looks under the old one too."""
    announce(url)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one"
    assert find_servers() == [url]


def test_only_addresses_of_this_machine_are_believed(url):
    """Whatever gets into a file, no publication goes to another machine because of it."""
    announce(url).write_text("http://push.example.com/juggernaut/")
    assert find_servers() == []


def test_unreadable_file_does_no_harm(url):
    announce(url).write_bytes(b"\xff")
    announce(url)
    assert find_servers() == [url]


def test_files_of_killed_servers_are_cleared_away(url):
    """At the next start, if nothing listens at the address any more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = announce(f"http://127.0.0.1:{listener.getsockname()[1]}/juggernaut/")
        alive = announce(url)
    announce(url)
    assert (dead.exists(), alive.exists()) == (False, True)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o750])
def test_directory_that_others_have_a_share_in_is_not_used(url, mode):
    """Neither written to nor read from."""
    directory = announce(url).parent
    directory.chmod(mode)
    assert find_servers() == []
    with pytest.raises(PermissionError, match="only its owner"):
        announce(url)


def test_directory_that_somebody_else_made_is_not_used(url, monkeypatch):
    """In ``/tmp`` anybody may come first."""
    directory = announce(url).parent
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    directory.rename(directory.with_name(f"django-jugpush-{os.getuid()}"))
    assert find_servers() == []
    with pytest.raises(PermissionError):
        announce(url)


def test_link_in_place_of_the_directory_is_not_followed(url, temporary):
    """It could lead to where somebody else may look."""
    directory = announce(url).parent
    directory.rename(temporary / "elsewhere")
    directory.symlink_to(temporary / "elsewhere")
    assert find_servers() == []
    with pytest.raises(PermissionError):
        announce(url)


def test_no_directory_is_no_server():
    assert find_servers() == []
