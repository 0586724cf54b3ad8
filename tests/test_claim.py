"""Being the one push server of a project that has no Redis."""

from __future__ import annotations

import asyncio
import tempfile
import urllib.request

import pytest

from django_jugpush import rendezvous
from django_jugpush.claim import LocalClaim


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path, monkeypatch):
    """A machine of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def endpoint(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def make_claim():
    return LocalClaim(endpoint, path="/juggernaut/")


def test_who_has_it_is_found_and_answers():
    """At an address of its own, whatever the port that clients see."""

    def ask(url):
        with urllib.request.urlopen(f"{url}hello", timeout=10) as response:
            return response.read()

    async def main():
        claim = make_claim()
        assert await claim.take()
        (url,) = rendezvous.find_servers()
        assert await asyncio.to_thread(ask, url) == b"/juggernaut/hello"
        await claim.give_up()
        assert rendezvous.find_servers() == []

    asyncio.run(main())


def test_only_one_has_it(caplog):
    """The other says so once, and gets it when the first is gone."""

    async def main():
        first, second = make_claim(), make_claim()
        assert await first.take()
        assert [await second.take() for _ in range(3)] == [False] * 3
        assert len(rendezvous.find_servers()) == 1
        await first.give_up()
        assert await second.take()
        await second.give_up()

    asyncio.run(main())
    assert len(caplog.messages) == 1
    assert "there can be only one" in caplog.text


def test_projects_have_claims_of_their_own(settings):
    """They share the directory, and nothing else."""

    async def main():
        one = make_claim()
        assert await one.take()
        settings.BASE_DIR = "/elsewhere"
        other = make_claim()
        assert await other.take()
        await one.give_up()
        await other.give_up()

    asyncio.run(main())


def test_what_cannot_be_announced_is_not_claimed(monkeypatch):
    """The next attempt starts from the beginning, instead of being kept out by this one."""

    def fail(url):
        raise OSError("No space left on device")

    async def main():
        claim = make_claim()
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(rendezvous, "announce", fail)
            await claim.take()
        assert await claim.take()
        await claim.give_up()

    asyncio.run(main())


def test_directory_of_somebody_else_is_not_used(temporary_directory):
    directory = temporary_directory / rendezvous._directory().name
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    with pytest.raises(PermissionError, match="only its owner"):
        asyncio.run(make_claim().take())


def test_directory_is_spared_by_those_who_tidy_up(temporary_directory):
    """Who removes old files tries to lock a directory first, and fails while a server lives."""
    import fcntl
    import os

    async def main():
        claim = make_claim()
        await claim.take()
        directory = os.open(rendezvous._directory(), os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await claim.give_up()
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(directory)

    asyncio.run(main())
