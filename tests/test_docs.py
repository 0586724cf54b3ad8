"""The documentation names all that is public, its examples parse, and its links lead somewhere."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from pathlib import Path

import msgspec
import pytest
from django.utils.module_loading import import_string

import django_jugpush
from django_jugpush import checks, exceptions, signals, testing
from django_jugpush.conf import Config, get_config
from django_jugpush.core import codes
from django_jugpush.core.publication import Publication
from tests.papers import DOCS, ROOT, markdown_blocks, rst_blocks

REFERENCE = {path.stem: path.read_text() for path in sorted((DOCS / "reference").glob("*.rst"))}
PAGES = sorted([*DOCS.rglob("*.rst"), *ROOT.glob("*.md")])


def page_id(path):
    return str(path.relative_to(ROOT))


def headings(text):
    """Return what stands above a line of one repeated character, and what a directive describes."""
    underlined = re.findall(r"^(\S.*)\n([=\-~^\"'])\2{2,}$", text, re.M)
    described = re.findall(r"^\.\. (?:py:)?\w+:: (.*(?:\n {3,}\S.*(?=\n))*)", text, re.M)
    return "\n".join([*(title for title, _ in underlined), *described])


def source(pattern):
    """Return the text of the files that match, joined."""
    return "\n".join(path.read_text() for path in sorted(ROOT.glob(pattern)))


def words(text):
    return set(re.findall(r"[A-Za-z_]\w*", text))


@pytest.mark.parametrize("module", [django_jugpush, exceptions, signals, testing], ids=lambda module: module.__name__)
def test_every_public_name_has_its_heading(module):
    documented = words("\n".join(map(headings, REFERENCE.values())))
    assert {name for name in module.__all__ if not name.startswith("__")} - documented == set()


def test_every_setting_has_its_heading():
    documented = words(headings(REFERENCE["settings"]))
    keys = {field.name for field in dataclasses.fields(Config)}
    assert keys - documented == set()


def test_checks_are_documented_as_they_are():
    """No id without its line, no line without its id."""
    ids = r"jugpush\.[EW]\d{3}"
    assert set(re.findall(ids, source("django_jugpush/**/*.py"))) == set(re.findall(ids, REFERENCE["checks"]))
    assert checks.__doc__


@pytest.mark.parametrize("code", [*codes.ErrorCode, *codes.DisconnectCode], ids=lambda code: code.name)
def test_every_code_has_its_line(code):
    """Number, name and message together in one row of the protocol's tables."""
    rows = re.split(r"\n(?= *\* - | *\* ``|\S)|\n\n", REFERENCE["protocol"])
    assert [row for row in rows if str(int(code)) in row and code.message in row]


def test_every_command_is_shown():
    commands = {path.stem for path in ROOT.glob("django_jugpush/management/commands/[!_]*.py")}
    shown = set(re.findall(r"manage\.py (\w+)", "\n".join(path.read_text() for path in PAGES)))
    assert commands - shown == set()


def test_dom_events_are_documented_as_they_are():
    """What the client's sources send, and what the reference says."""
    names = r"juggernaut:[a-z]+"
    assert set(re.findall(names, source("client/src/*.js"))) == set(re.findall(names, REFERENCE["client"]))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_code_blocks_parse(page):
    text = page.read_text()
    for block in rst_blocks(text) if page.suffix == ".rst" else markdown_blocks(text):
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("page", [path for path in PAGES if path.suffix == ".md"], ids=page_id)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


def test_dotted_names_exist():
    """What the pages import can be imported."""
    imports = re.findall(
        r"^ *from (django_jugpush[\w.]*) import ([\w, ]+)$", "\n".join(map(Path.read_text, PAGES)), re.M
    )
    assert imports
    for module, names in imports:
        for name in names.split(","):
            assert import_string(f"{module}.{name.strip()}")


def test_broker_of_the_reference_works(caplog):
    """The example takes what any broker is given."""
    block, _ = rst_blocks(REFERENCE["brokers"])
    names = {}
    exec(block.text, names)
    caplog.set_level("INFO")
    names["LoggingBroker"](get_config()).publish([Publication(id="1", channel="news", data=msgspec.Raw(b'{"a":1}'))])
    assert caplog.messages == ['news: {"a":1}']
