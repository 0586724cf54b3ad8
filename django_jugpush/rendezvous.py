"""
Where the processes of one user on one machine find the push servers of a project.

Each server leaves a file with its address, named after the project and a key, in a directory that only this user can
write to. A file is a hint and no more: whoever answers at the address has yet to prove itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import socket
import stat
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from .conf import derived_keys

__all__ = ["Lock", "announce", "find_servers", "take_lock", "withdraw"]


def find_servers() -> list[str]:
    """Return the mount points of the push servers that this project seems to have here."""
    urls = []
    for file in _files():
        with contextlib.suppress(OSError, ValueError):
            url = file.read_text(encoding="ascii")
            if url.startswith("http://127.0.0.1:"):
                urls.append(url)
    return urls


def announce(url: str) -> Path:
    """
    Leave a file that names ``url`` and return it; files of servers that were killed are removed.

    Raises:
        OSError: If the directory cannot be made, or others could write to it.
    """
    directory = _make_directory()
    for file in _files():
        if _is_abandoned(file):
            withdraw(file)
    file = directory / f"{_digests()[0]}-{secrets.token_hex(8)}"
    hidden = file.with_name(f".{file.name}")
    with open(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(url)
    hidden.replace(file)  # whole, or not there
    return file


def withdraw(file: Path) -> None:
    """Remove a file that :func:`announce` has made."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


class Lock:
    """
    What no other process can have, until this is closed or the process ends.

    Raises:
        BlockingIOError: If another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._files: list[int] = []
        if sys.platform == "win32":  # all that is found is published to, so two servers are no harm
            return
        import fcntl

        try:
            self._files.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            fcntl.flock(self._files[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever tidies up spares a directory that is locked. https://systemd.io/TEMPORARY_DIRECTORIES
            self._files.append(os.open(path.parent, os.O_RDONLY))
            fcntl.flock(self._files[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let others have it."""
        while self._files:
            os.close(self._files.pop())


def take_lock() -> Lock | None:
    """
    Return the lock that one process of this project can have, or None if another has it.

    Raises:
        OSError: If the directory cannot be made, or others could write to it.
    """
    path = _make_directory() / f"lock-{_digests()[0]}"
    try:
        return Lock(path)
    except BlockingIOError:
        return None


def _make_directory() -> Path:
    directory = _directory()
    directory.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(directory):
        raise PermissionError(f"{directory} is not a directory that only its owner can use")
    return directory


def _directory() -> Path:
    # Not XDG_RUNTIME_DIR: a terminal of the desktop has it, cron and SSH do not.
    owner = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"django-jugpush{owner}"


def _is_private(directory: Path) -> bool:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)


def _files() -> list[Path]:
    directory = _directory()
    try:
        if not _is_private(directory):
            return []
        return sorted(file for file in directory.iterdir() if file.name.partition("-")[0] in _digests())
    except OSError:
        return []


def _digests() -> list[str]:
    """Name the project once for each key, so that a process with a rotated key is found too."""
    base_dir = os.path.realpath(str(getattr(settings, "BASE_DIR", "")))
    return [hmac.digest(key, base_dir.encode(), hashlib.sha256).hex()[:32] for key in derived_keys("rendezvous")]


def _is_abandoned(file: Path) -> bool:
    try:
        address = urlsplit(file.read_text(encoding="ascii"))
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=0.2):
            return False
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError):
        return False
