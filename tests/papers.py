"""The documentation as the tests read it: its code blocks, in order."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


@dataclass(frozen=True, kw_only=True)
class Block:
    language: str
    caption: str
    text: str


def rst_blocks(text: str) -> list[Block]:
    """Return the ``code-block``s of a page in reStructuredText."""
    directive = re.compile(r"^( *)\.\. code-block:: *(\S+)\n((?:\1 +:\S+:.*\n)*)\n+((?:\1 +.*\n|\n)+)", re.M)
    return [
        Block(
            language=language,
            caption="".join(re.findall(r":caption: *(.*)", options)),
            text=textwrap.dedent(body).strip("\n") + "\n",
        )
        for _, language, options, body in directive.findall(text.rstrip("\n") + "\n")
    ]


def markdown_blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in Markdown, with the file that a first line ``# some/file.py`` names."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    named = re.compile(r"# (\S+\.\w+)")
    return [
        Block(language=language, caption=match[1] if (match := named.match(body)) else "", text=body)
        for language, body in blocks
    ]


def commands(block: Block) -> list[str]:
    """Return what a ``console`` block has after its prompts."""
    return [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]
