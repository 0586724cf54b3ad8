"""Finds and imports each app's ``push.py``, and remembers for the checks what was wrong with one."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.utils.autoreload import autoreload_started
from django.utils.module_loading import module_has_submodule

from . import declarations
from .publishing import registry

__all__ = ["Failure", "autodiscover", "failures", "idle"]

logger = logging.getLogger("django_jugpush")

MODULE = "push"
"""What the module of an app is called."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A module that could not be imported."""

    module: str
    error: Exception

    @property
    def last_lines(self) -> str:
        """The end of the traceback: where it happened, and what."""
        return "".join(traceback.format_exception(self.error, limit=-1)).partition("\n")[2].rstrip()


failures: list[Failure] = []
"""Modules that failed. The rest of the site starts all the same; a check says what is wrong with them."""

idle: list[str] = []
"""Modules that registered nothing."""


def autodiscover() -> None:
    """Import ``push`` of each app that has one."""
    for app in apps.get_app_configs():
        name = f"{app.name}.{MODULE}"
        # Imported already, it has registered what it has, but when, nobody knows.
        if name not in sys.modules and app.module and module_has_submodule(app.module, MODULE):
            _import(name)


def _import(name: str) -> None:
    before = _registered()
    try:
        importlib.import_module(name)
    except Exception as error:
        failure = Failure(name, error)
        failures.append(failure)
        # In short: where checks run, they say it as well, and the autoreloader's parent says everything twice.
        logger.error("%s cannot be imported:\n%s", name, failure.last_lines)
        _watch(_files(error))
    else:
        if _registered() == before:
            idle.append(name)


def _registered() -> int:
    return registry.counts() + len(registry.conflicts) + declarations.count()


def _files(error: Exception) -> set[Path]:
    """Return the files that a failed import went through: those in which the mistake may be mended."""
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    if isinstance(error, SyntaxError) and error.filename:
        files.add(error.filename)
    return {Path(file) for file in files if Path(file).is_absolute()}


def _watch(files: set[Path]) -> None:
    """Have runserver's autoreloader watch ``files``: it knows the modules only whose import succeeded."""

    def add(sender: Any, **kwargs: Any) -> None:
        sender.extra_files |= files

    autoreload_started.connect(add, weak=False)
