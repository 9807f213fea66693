"""The commands: what they print, and when they end with 1."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner

from infra.backup import command
from infra.cli import app as globalmart


@pytest.fixture
def run(settings, monkeypatch):
    monkeypatch.setattr(command, "load_settings", lambda: settings)
    return lambda *args: CliRunner().invoke(command.app, [str(arg) for arg in args])


def test_a_target_alone_means_make(run, target) -> None:
    done = run(target)
    assert done.exit_code == 0, done.output
    assert "records, 2 tables, 0.00 USD" in done.output
    assert "Not in it: passwords and keys" in done.output
    time.sleep(1)  # a backup is called by its second
    again = run("--json", target)
    assert again.exit_code == 0, again.output
    second = json.loads(again.stdout)
    assert (second["point"]["batch_id"], second["copied_files"]) == (2, 0)


def test_verify_names_what_is_wrong_and_ends_with_1(run, target, made) -> None:
    whole = run("verify", target)
    assert whole.exit_code == 0
    assert "all there, and as they were" in whole.output
    victim = made.manifest.files[0]
    target.delete([victim.object])
    damaged = run("verify", target, "--json")
    assert damaged.exit_code == 1
    assert json.loads(damaged.stdout)["faults"] == [f"{victim.path} is missing ({victim.object})"]


def test_list_shows_each_backup_and_tells_a_damaged_manifest_apart(run, target, made) -> None:
    assert made.manifest.backup_id in run("list", target).output
    (target._root / "backups" / "20260302-120000.json").write_text("{")
    damaged = run("list", target)
    assert damaged.exit_code == 1
    assert made.manifest.backup_id in damaged.output
    assert "The manifest backups/20260302-120000.json" in damaged.output


@pytest.mark.parametrize(
    ("words", "example"),
    [
        (["backup", "make", "--help"], "globalmart backup /mnt/backups/shop"),
        (["restore", "--help"], "globalmart restore /mnt/backups/shop"),
        (["upgrade", "apply", "--help"], "globalmart upgrade apply --backup-to"),
    ],
)
def test_help_has_an_example(words, example) -> None:
    assert example in CliRunner().invoke(globalmart, words).output
