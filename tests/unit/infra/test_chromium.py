"""The browser of the tests is found where it is, and its absence is said with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.chromium import find_chromium
from infra.steps import SetupError


def _program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_first_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    other = _program(tmp_path, "google-chrome")
    assert find_chromium() == other
    own = _program(tmp_path, "chromium")
    assert find_chromium() == own


def test_a_named_one_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "chromium")
    named = _program(tmp_path, "my-browser")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM_PATH", str(named))
    assert find_chromium() == named


def test_without_one_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM_PATH", str(tmp_path / "gone"))
    with pytest.raises(SetupError, match="apt-get install chromium"):
        find_chromium()
