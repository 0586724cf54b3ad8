"""Every code that a browser can get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_jugpush.core.codes import DisconnectCode, ErrorCode

PROTOCOL = Path(__file__).resolve().parents[2] / "docs" / "reference" / "protocol.rst"


def table(title):
    """Return the rows of the list-table with this title, as lists of cells without markup."""
    body = PROTOCOL.read_text().split(f".. list-table:: {title}\n")[1]
    body = re.split(r"\n(?=\S)", body)[0]
    rows = re.split(r"\n +\* - ", body)[2:]  # before the first row stand the options, then comes the header
    return [[cell.strip().replace("``", "") for cell in re.split(r"\n +- ", row)] for row in rows]


def test_error_codes_are_documented():
    """Exactly these, with their messages."""
    documented = [(int(code), name, message, again) for code, name, message, again, _ in table("Error codes")]
    assert documented == [(code, code.name, code.message, "yes" if code.temporary else "no") for code in ErrorCode]


def test_disconnect_codes_are_documented():
    """Exactly these, with their messages."""
    documented = [(int(code), name, message, again) for code, name, message, again, _ in table("Disconnect codes")]
    assert documented == [(code, code.name, code.message, "yes" if code.reconnect else "no") for code in DisconnectCode]


@pytest.mark.parametrize("code", DisconnectCode)
def test_disconnect_code_says_by_its_number_whether_to_come_back(code):
    """And it lies where WebSocket leaves room for applications and libraries."""
    assert 3000 <= code < 4000
    assert code.reconnect is (code < 3500)
