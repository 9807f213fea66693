"""Each message that the troubleshooting page quotes stands in the code, word by word; `…` stands for what changes."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from lakehouse.settings import CHECKOUT

PAGE = (CHECKOUT / "docs/troubleshooting.md").read_text("utf-8")
QUOTES = re.findall(r"^> (.+)$", PAGE, flags=re.M)
_DIFFERENCES = re.findall(r"^\| (\*.*?\*) \|", PAGE, flags=re.M)
_HOLES = re.compile(r"…+")


@cache
def texts() -> str:
    """All texts in the code, one a line, `…` for what is filled in."""
    found = []
    for package in ("api", "infra", "ingestion", "lakehouse", "orchestration"):
        for path in (CHECKOUT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    shell = (CHECKOUT / "infra/bootstrap.sh").read_text("utf-8")
    found.append(re.sub(r"\$\([^)]*\)|\$\{?\w+\}?", "…", shell))
    return _HOLES.sub("…", "\n".join(found))


def is_in_code(message: str) -> bool:
    return _HOLES.sub("…", message) in texts()


@pytest.mark.parametrize("message", QUOTES)
def test_each_message_stands_in_the_code(message: str) -> None:
    assert is_in_code(message)


@pytest.mark.parametrize("words", [one for row in _DIFFERENCES for one in re.findall(r"\*(.+?)\*", row)])
def test_each_difference_that_the_proof_finds_is_told_in_its_words(words: str) -> None:
    assert is_in_code(words)


def test_there_are_messages_and_a_wrong_one_is_seen() -> None:
    assert len(QUOTES) > 50
    assert len(_DIFFERENCES) == 7
    assert not is_in_code("Not installed yet: …. Run `make install`.")
