"""How Sphinx builds the documentation; ``make docs`` runs it."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

project = "django-jugpush"
copyright = "the django-jugpush authors"  # noqa: A001 - Sphinx's name
release = installed_version("django-jugpush")
version = ".".join(release.split(".")[:2])

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "django-jugpush"
html_static_path = ["_static"]
html_copy_source = False

nitpicky = True
# What is documented elsewhere: no inventory is fetched, so that the build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(asyncio|collections|contextlib|datetime|decimal|django|msgspec|os|ssl|typing|uuid)\..*"),
    # Type variables and aliases, and what docstrings say to readers of the source.
    ("py:class", r"(django_jugpush\.\w+\.\w+\.)?[A-Z]|Targets?"),
    ("py:func", r"django_jugpush\.core\.channels\.check_name"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Target": "Target", "Targets": "Targets"}
