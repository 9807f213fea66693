"""The commands: help with an example, options that make no sense told in a sentence, and a guide that names every rule."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from lakehouse.errors import GlobalMartError
from lakehouse.quarantine.command import app
from lakehouse.quarantine.rules import RULES
from lakehouse.rebuild.command import EPILOG, rebuild
from lakehouse.settings import CHECKOUT

COMMANDS = ["list", "show", "repair", "discard", "replay"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: globalmart quarantine {command}" in result.output


def test_rebuild_has_help_with_an_example():
    single = typer.Typer()
    single.command("rebuild", epilog=EPILOG)(rebuild)
    result = CliRunner().invoke(single, ["--help"])
    assert "Example: globalmart rebuild" in result.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["repair", "--rule", "number:quantity"], "Say which records are meant"),
        (["repair", "--reason", "missing"], "Say how to repair"),
        (["repair", "--reason", "missing", "--rule", "drop:a", "--patch", "p.json"], "Say how to repair"),
        (["repair", "--reason", "missing", "--rule", "shout:a"], "There is no repair rule 'shout'"),
        (["repair", "--reason", "missing", "--patch", "p.json"], "A patch is for one record"),
        (["repair", "--position", "users/0/1", "--patch", "p.json"], "The patch p.json cannot be read"),
        (["repair", "--reason", "missing", "--rules-file", "r.toml"], "The rules in r.toml cannot be read"),
        (["repair", "--position", "users", "--rule", "drop:a"], "'users' is no position"),
        (["repair", "--since", "soon", "--rule", "drop:a"], "'soon' is no time"),
        (["discard", "--why", "a drill"], "Say which records are meant"),
        (["show", "users/x/1"], "'users/x/1' is no position"),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, options)
    assert isinstance(result.exception, GlobalMartError)
    assert str(result.exception).startswith(sentence)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("body", ["rules = 'drop:a'", "rules = [1]", "other = []", "rules = ["])
def test_a_rules_file_without_a_list_of_rules_is_refused(body, tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(body)
    result = CliRunner().invoke(app, ["repair", "--reason", "missing", "--rules-file", str(path)])
    assert isinstance(result.exception, GlobalMartError)


def test_the_guide_names_every_rule_and_command():
    guide = (CHECKOUT / "docs" / "quarantine.md").read_text()
    for name, (argument, _) in RULES.items():
        assert f"`{name}{':' if argument else ''}" in guide, name
    for command in COMMANDS:
        assert f"globalmart quarantine {command}" in guide
    assert "globalmart rebuild --dry-run" in guide
