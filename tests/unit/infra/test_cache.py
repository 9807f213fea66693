"""Folders of the shared cache are made once, whole or not at all."""

import threading
from pathlib import Path

import pytest

from infra.cache import cache_dir, content_name, make_once


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOBALMART_CACHE_DIR", str(tmp_path / "cache"))


def _write(folder: Path) -> None:
    (folder / "file").write_text("whole")


def test_a_second_call_makes_nothing() -> None:
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        _write(folder)

    first, second = make_once("thing", make), make_once("thing", make)
    assert first == second == cache_dir() / "thing"
    assert len(calls) == 1
    assert (first / "file").read_text() == "whole"


def test_a_failed_make_leaves_nothing_and_is_redone() -> None:
    def fail(folder: Path) -> None:
        _write(folder)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_once("thing", fail)
    assert [path.name for path in cache_dir().iterdir()] == ["thing.lock"]
    assert (make_once("thing", _write) / "file").read_text() == "whole"


def test_what_a_killed_make_left_is_removed() -> None:
    leftover = cache_dir() / "thing.partial-killed"
    leftover.mkdir(parents=True)
    make_once("thing", _write)
    assert not leftover.exists()


def test_two_at_once_make_it_once() -> None:
    calls: list[str] = []
    waited: list[str] = []
    began, go_on = threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        calls.append(folder.name)
        began.set()
        go_on.wait(10)
        _write(folder)

    def second() -> None:
        make_once("thing", make, lambda: (waited.append("yes"), go_on.set())[0])

    threads = [threading.Thread(target=make_once, args=("thing", make)), threading.Thread(target=second)]
    threads[0].start()
    began.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1
    assert waited == ["yes"]


def test_the_name_changes_with_any_content() -> None:
    names = {content_name("jars", "a", "b"), content_name("jars", "ab"), content_name("jars", "a", "c")}
    assert len(names) == 3
