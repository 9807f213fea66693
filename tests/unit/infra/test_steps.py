"""Failures of downloads and builds are told by their cause."""

from pathlib import Path

import pytest

from infra.java import find_java
from infra.steps import SetupError, explain, run_step


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("go: dial tcp: lookup proxy: no such host", "does not answer; check the network"),
        ("Server access error: java.net.UnknownHostException", "does not answer; check the network"),
        (
            "You probably access the destination server through a proxy server that is not well configured.",
            "check the network",
        ),
        ("first cause\n:: USE VERBOSE ::\n::::\n", "first cause"),
        ("write /x: no space left on device", "the disk is full"),
        ("first\nlast line\n", "last line."),
        ("", "no output."),
    ],
)
def test_cause_in_words(output: str, words: str) -> None:
    assert words in explain(output)


def test_a_failing_step_names_its_log(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    with pytest.raises(SetupError, match=r"Thing failed: broken\. \(log: .*step\.log\)"):
        run_step("Thing", ["sh", "-c", "echo broken; exit 3"], log)


def test_no_java_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("infra.java._PLACES", ())
    with pytest.raises(SetupError, match="need Java 17 or later, but there is no Java on this machine: install it"):
        find_java()


def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr("infra.java._PLACES", ())
    monkeypatch.setattr("infra.java.find_program", lambda _: None)
    with pytest.raises(SetupError, match=r"bin/java is older"):
        find_java()
