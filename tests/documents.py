"""The documents as tests see them: their pages, code blocks and inline code, and the commands in these."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.settings import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
SHELLS = {"console", "bash", "sh", ""}

_BLOCK = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", flags=re.S | re.M)
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, without its indentation."""

    page: Path
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(page, language, re.sub(f"^{indent}", "", text, flags=re.M)) for indent, language, text in found]


def inline(page: Path) -> list[str]:
    """What stands in single backticks outside of blocks."""
    return _INLINE.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def command_lines(text: str) -> list[str]:
    """The lines of a shell block that are typed: all of them, or, where some begin with `$ `, these; continued lines as one."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return prompted or [line for line in lines if line.strip()]


def invocations(page: Path, program: str) -> Iterator[list[str]]:
    """The arguments of each call of `program` that a page shows, in blocks of shell and in inline code."""
    shown = [line for block in blocks(page) if block.language in SHELLS for line in command_lines(block.text)]
    for text in [*shown, *inline(page)]:
        for part in re.split(r"&&|\|\||[|;]|\s#\s|\s>\s|\s&$", text):
            found = re.match(rf"\s*(?:\w+=\S*\s+)*(?:\.venv/bin/)?{program}(\s.*)?$", part)
            if found:
                yield shlex.split((found[1] or "").replace("[", "").replace("]", ""))
