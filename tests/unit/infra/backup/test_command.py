"""The commands: what they print, and when they end with 1."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner

from infra.backup import command
from infra.backup import restore as restoring
from infra.cli import app as globalmart
from infra.cli import elsewhere


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


def test_an_object_that_changed_is_copied_again_once_it_is_removed_as_verify_says(run, target, made) -> None:
    victim = next(file for file in made.manifest.files if file.path.endswith(".parquet"))
    path = target._root / victim.object
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "Remove the objects that are not as they were" in run("verify", target).output
    path.unlink()
    assert run(target).exit_code == 0
    assert path.read_bytes() == whole


def test_kafka_alone_is_restored_without_a_target_and_may_be_said_in_json(settings, monkeypatch) -> None:
    monkeypatch.setattr(restoring, "restore_kafka", lambda _: "Kafka is a new one")
    done = CliRunner().invoke(elsewhere("restore"), ["--kafka-only", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["kafka"] == "Kafka is a new one"
    refused = CliRunner().invoke(elsewhere("restore"), ["--kafka-only", "/mnt/backups/shop"])
    assert refused.exit_code == 2
    assert "reads no backup" in refused.output


def test_list_shows_each_backup_and_tells_a_damaged_manifest_apart(run, target, made) -> None:
    assert made.manifest.backup_id in run("list", target).output
    (target._root / "backups" / "20260302-120000.json").write_text("{")
    damaged = run("list", target)
    assert damaged.exit_code == 1
    assert made.manifest.backup_id in damaged.output
    assert "The manifest backups/20260302-120000.json" in damaged.output


def test_prune_says_what_goes_and_takes_no_keep_below_one(run, target, made) -> None:
    time.sleep(1)
    assert run(target).exit_code == 0
    told = run("prune", target, "--keep", 1, "--dry-run")
    assert f"would drop {made.manifest.backup_id}" in told.output, told.output
    done = run("prune", target, "--keep", 1, "--json")
    assert json.loads(done.stdout)["dropped"] == [made.manifest.backup_id]
    assert run("prune", target, "--keep", 0).exit_code == 2
    assert run("prune", target).exit_code == 2  # how many to keep is for the owner to say


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
