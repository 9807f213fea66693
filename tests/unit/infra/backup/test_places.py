"""Where backups may lie, and who may read them there."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from infra.backup.places import Folder, target_place
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_for_its_owner_alone(tmp_path) -> None:
    Folder(tmp_path / "shop").write("objects/ab/abc", io.BytesIO(b"who bought what"))
    assert mode(tmp_path / "shop" / "objects" / "ab" / "abc") == 0o600
    assert {mode(tmp_path / "shop" / name) for name in (".", "objects", "objects/ab")} == {0o700}


def test_a_folder_that_is_not_there_has_no_files_and_one_that_cannot_be_read_is_said(tmp_path, monkeypatch) -> None:
    assert Folder(tmp_path / "nothing").files() == {}
    Folder(tmp_path).write("audit/day", io.BytesIO(b"1"))
    assert Folder(tmp_path).files("audit") == {"audit/day": 1}

    def closed(path: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", closed)  # rights do not stop root, who may run these tests
    with pytest.raises(PermissionError):
        Folder(tmp_path).files("audit")


@pytest.mark.parametrize("target", ["", " ", "gs://bucket/shop", "S3://bucket/shop", "https://backups.example/shop"])
def test_what_is_no_folder_is_not_made_one_here(target, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="is no place for backups"):
        target_place(Settings(_env_file=None), target)


def test_a_file_is_no_target(tmp_path) -> None:
    (tmp_path / "shop").touch()
    with pytest.raises(SettingsError, match="is a file"):
        target_place(Settings(_env_file=None), str(tmp_path / "shop"))


def test_a_folder_is_named_as_it_is_or_by_its_address(tmp_path) -> None:
    settings = Settings(_env_file=None)
    for target in (str(tmp_path / "a b"), (tmp_path / "a b").as_uri()):
        assert str(target_place(settings, target)) == str(tmp_path / "a b")


def test_a_bare_word_that_is_no_folder_is_rather_a_mistyped_subcommand(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(_env_file=None)
    with pytest.raises(
        SettingsError, match=r"'status' is neither a subcommand nor a folder .* `\./status` makes one here"
    ):
        target_place(settings, "status")
    assert str(target_place(settings, "./status")) == str(tmp_path / "status")
    (tmp_path / "status").mkdir()
    assert str(target_place(settings, "status")) == str(tmp_path / "status")
