"""What a page tells its reader to type exists: commands with their options, modules, make's targets."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click
import pytest
from documents import PAGES, invocations
from typer.main import get_command

from infra.cli import ELSEWHERE, app, elsewhere
from lakehouse.settings import CHECKOUT

# In the place of something that the reader has to put in
_PLACEHOLDER = re.compile(r"^(…|\.\.\.|[A-Z…]+)$")
_TARGETS = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text("utf-8"), flags=re.M))


def command(name: str) -> click.Command:
    """One command of `globalmart`, with its options."""
    if name not in ELSEWHERE:
        return get_command(app).commands[name]  # type: ignore[attr-defined,no-any-return]
    return get_command(elsewhere(name))


def wrong(args: list[str]) -> str:
    """What is wrong with the arguments of `globalmart`, empty where nothing is."""
    args = [arg for arg in args if arg != "--help"]
    if not args or _PLACEHOLDER.match(args[0]):
        return ""
    name, *rest = args
    if name not in {*ELSEWHERE, *get_command(app).commands}:  # type: ignore[attr-defined]
        return f"there is no command {name}"
    found = command(name)
    while hasattr(found, "commands") and rest and not rest[0].startswith("-"):
        inner, *rest = rest
        if inner not in found.commands and hasattr(found, "unless_named"):
            inner, rest = found.unless_named, [inner, *rest]
        if inner not in found.commands:
            return f"{name} has no command {inner}"
        found = found.commands[inner]
    known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    asked = [arg.split("=")[0] for arg in rest if re.match(r"--\w", arg)]
    return ", ".join(f"{name} has no option {option}" for option in asked if option not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_and_option_exists(page: Path) -> None:
    assert [
        f"globalmart {' '.join(args)}: {wrong(args)}" for args in invocations(page, "globalmart") if wrong(args)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_target_of_make_exists(page: Path) -> None:
    targets = [args[-1] for args in invocations(page, "make") if args and re.match(r"^[a-z-]+$", args[-1])]
    assert set(targets) <= _TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_module_that_is_run_exists(page: Path) -> None:
    modules = [args[0] for args in invocations(page, "python -m") if args]
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_a_wrong_command_option_or_inner_command_is_seen() -> None:
    assert wrong(["proove"]) == "there is no command proove"
    assert wrong(["prove", "--jason"]) == "prove has no option --jason"
    assert wrong(["keys", "print"]) == "keys has no command print"
    assert wrong(["keys", "issue", "team", "--country", "DE"]) == ""


def test_every_command_has_a_line_in_the_user_guide() -> None:
    names = {*ELSEWHERE, *get_command(app).commands}  # type: ignore[attr-defined]
    shown = {args[0] for args in invocations(CHECKOUT / "docs/user-guide.md", "globalmart") if args}
    assert names - shown == set()
