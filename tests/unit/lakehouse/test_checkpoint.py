"""Generations go on where the ledger ends; a damaged checkpoint is refused with a way out."""

import json
from datetime import UTC, datetime

import pytest

from lakehouse.errors import CheckpointError, SettingsError
from lakehouse.ledger import LedgerEntry
from lakehouse.streams.checkpoint import Checkpoint, Generation

AT = datetime(2026, 3, 14, 9, tzinfo=UTC)


def entry(generation=1, batch_id=2):
    return LedgerEntry(generation, batch_id, batch_id, AT, AT, {"users/0": 7}, {"users": AT}, {"silver/users": 3})


@pytest.fixture
def started(file_settings):
    """A generation whose batches 0 to 2 Spark has committed, with batch 3 begun."""
    checkpoint = Checkpoint(file_settings)
    generation = checkpoint.open(None, -1)
    checkpoint.begin(generation)
    folder = checkpoint.folder(generation)
    (folder / "metadata").write_text('{"id":"x"}')
    for name, numbers in (("offsets", range(4)), ("commits", range(3))):
        (folder / name).mkdir()
        for number in numbers:
            (folder / name / str(number)).write_text(
                'v1\n{"a":1}\n{"users":{"0":7}}' if name == "offsets" else 'v1\n{"b":1}'
            )
    return checkpoint, folder


def test_first_generation_starts_at_zero(file_settings):
    assert Checkpoint(file_settings).open(None, -1) == Generation(1, 0, {}, is_new=True)


def test_whole_checkpoint_is_gone_on_with(started):
    checkpoint, _ = started
    assert checkpoint.open(entry(), 3) == Generation(1, 0, {})


def test_lost_checkpoint_starts_a_generation_at_the_ledgers_offsets_above_every_sinks_batch(file_settings):
    assert Checkpoint(file_settings).open(entry(batch_id=2), 3) == Generation(2, 4, {"users/0": 7}, is_new=True)


def test_checkpoint_of_an_older_generation_than_the_ledgers_is_left(started):
    checkpoint, _ = started
    assert checkpoint.open(entry(generation=5, batch_id=40), 40) == Generation(6, 41, {"users/0": 7}, is_new=True)


def test_generation_is_remembered_from_begin(file_settings):
    checkpoint = Checkpoint(file_settings)
    generation = Generation(2, 4, {"users/0": 7}, is_new=True)
    checkpoint.begin(generation)
    assert checkpoint.open(entry(batch_id=3), 3) == Generation(2, 4, {"users/0": 7})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "metadata").unlink(), "metadata is missing"),
        (lambda folder: (folder / "metadata").write_text(""), "metadata is missing or empty"),
        (lambda folder: (folder / "offsets" / "3").write_text("v1\n{"), "offsets/3 is truncated"),
        (lambda folder: (folder / "offsets" / "3").write_text(""), "offsets/3 is truncated"),
        (lambda folder: (folder / "commits" / "2").unlink(), "commits/2 is missing"),
        (lambda folder: (folder / "commits" / "1").unlink(), "has a gap"),
        (lambda folder: (folder / "commits" / "2").write_text(""), "commits/2 is truncated"),
        (lambda folder: (folder / "generation.json").unlink(), "generation.json is missing"),
        (lambda folder: (folder / "generation.json").write_text("{"), "is not JSON"),
        (lambda folder: [file.unlink() for file in (folder / "offsets").iterdir()], "is empty, though"),
        (lambda folder: [(folder / "offsets" / n).unlink() for n in "23"], "is missing, though the ledger"),
    ],
)
def test_damage_is_named_with_a_way_out(started, damage, words):
    checkpoint, folder = started
    damage(folder)
    with pytest.raises(CheckpointError, match=words):
        checkpoint.open(entry(), 3)


def test_a_retried_batch_reads_its_first_intent(started):
    checkpoint, _ = started
    generation = Generation(1, 0, {})
    first = checkpoint.intent(generation, 3, {"users": AT})
    again = checkpoint.intent(generation, 3, {})
    assert again == first
    assert first.watermarks == {"users": AT}


def test_old_intents_are_cleared(started):
    checkpoint, folder = started
    for batch in range(30):
        checkpoint.intent(Generation(1, 0, {}), batch, {})
    kept = sorted(int(file.stem) for file in (folder / "intents").iterdir())
    assert kept == list(range(10, 30))
    assert json.loads((folder / "intents" / "29.json").read_text()).keys() == {"started_at", "watermarks"}


def test_checkpoint_must_be_on_files(file_settings):
    with pytest.raises(SettingsError, match="GLOBALMART_CHECKPOINT_URI"):
        Checkpoint(file_settings.model_copy(update={"checkpoint_uri": "s3a://lake/checkpoints"}))


def test_lost_records_start_a_new_generation_after_them(started):
    checkpoint, _ = started
    second = checkpoint.open(entry(), 3, {"users/0": 9, "users/1": 2})
    assert second == Generation(2, 4, {"users/0": 9, "users/1": 2}, is_new=True)
