"""The simulation's own settings: the desk's rules as they are, but for the windows that measure real time."""

from __future__ import annotations

import tomllib

import pytest

from api.desk.rules import AlertRules
from infra.simulate.conduct import WATCH, watched
from lakehouse.settings import CHECKOUT


def test_only_the_windows_of_the_watch_differ_from_the_usual_rules() -> None:
    text = (CHECKOUT / "infra" / "alerts.toml").read_text()
    usual, ours = (AlertRules.model_validate(tomllib.loads(one)) for one in (text, watched(text)))
    assert ours.watch.model_dump() == usual.watch.model_dump() | WATCH
    assert ours.model_dump(exclude={"watch"}) == usual.model_dump(exclude={"watch"})


def test_a_rules_file_without_a_window_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="check_seconds stands 0 times"):
        watched("[watch]\n")
