"""The rules file: what it refuses, and which channels a notice takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.desk.errors import AlertRulesError
from api.desk.model import Alert
from api.desk.rules import AlertRules, load_rules
from lakehouse.settings import Settings

AT = datetime(2026, 5, 4, tzinfo=UTC)


def alert(**changes: Any) -> Alert:
    named = {
        "alert_id": "a",
        "kind": "low_stock",
        "severity": "warning",
        "fingerprint": "f",
        "title": "t",
        "detail": "d",
    }
    return Alert(
        **{
            **named,
            **dict.fromkeys(("event_at", "last_event_at", "raised_at", "first_seen_at", "last_seen_at"), AT),
            **changes,
        }
    )


def routes(rules: list[dict[str, Any]], moment: str = "opened", **changes: Any) -> list[str]:
    return list(AlertRules.model_validate({"rules": rules}).routes(alert(**changes), moment))  # type: ignore[arg-type]


def test_the_shipped_rules_are_those_of_the_code_but_for_routes_and_windows() -> None:
    shipped = load_rules(Settings(_env_file=None).alert_rules)
    default = AlertRules()
    assert (shipped.delivery, shipped.channels, shipped.watch) == (default.delivery, default.channels, default.watch)
    assert shipped.grouping.all_clear == default.grouping.all_clear


@pytest.mark.parametrize(
    ("severity", "channels"),
    [
        ("info", ["topic", "log"]),
        ("warning", ["topic", "log", "webhook"]),
        ("critical", ["topic", "log", "webhook", "mail"]),
    ],
)
def test_the_shipped_rules_send_by_severity(severity: str, channels: list[str]) -> None:
    shipped = load_rules(Settings(_env_file=None).alert_rules)
    assert shipped.routes(alert(severity=severity), "opened") == channels


def test_all_rules_that_fit_count_and_each_channel_once() -> None:
    rules = [{"name": "a", "channels": ["log", "mail"]}, {"name": "b", "channels": ["mail", "topic"]}]
    assert routes(rules) == ["log", "mail", "topic"]


def test_after_the_last_rule_that_fits_no_other_is_looked_at() -> None:
    rules = [
        {"name": "quiet", "kinds": ["bot_*"], "is_last": True},
        {"name": "all", "channels": ["log"]},
    ]
    assert routes(rules, kind="bot_views") == []
    assert routes(rules, kind="low_stock") == ["log"]


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"kinds": ["low_*", "oversold"]}, True),
        ({"kinds": ["oversold"]}, False),
        ({"severities": ["critical"]}, False),
        ({"countries": ["DE", "US"]}, True),
        ({"countries": ["BR"]}, False),
        ({"moments": ["resolved"]}, False),
    ],
)
def test_a_rule_fits_where_all_it_names_does(rule: dict[str, Any], fits: bool) -> None:
    one = {"name": "one", "channels": ["log"], **rule}
    assert routes([one], kind="low_stock", severity="warning", country="DE") == (["log"] if fits else [])


def test_a_rule_for_countries_does_not_fit_an_alert_without_one() -> None:
    assert routes([{"name": "one", "channels": ["log"], "countries": ["DE"]}], country=None) == []


def test_people_s_own_acts_are_told_only_where_a_rule_asks_for_it() -> None:
    assert routes([{"name": "one", "channels": ["log"]}], moment="acknowledged") == []
    assert routes([{"name": "one", "channels": ["log"], "moments": ["acknowledged"]}], moment="acknowledged") == ["log"]


def test_the_first_pattern_that_fits_gives_the_window() -> None:
    rules = AlertRules.model_validate({"grouping": {"window_minutes": 5, "by_kind": {"low_*": 60, "*stock": 90}}})
    kinds = ("low_stock", "out_of_stock", "oversold")
    assert [rules.grouping.window(kind) / timedelta(minutes=1) for kind in kinds] == [60, 90, 5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[channels.mail]\nper_minute = 0\nburst = 5\n",
            "are wrong at channels.mail.per_minute: Input should be greater than 0.",
        ),
        ("[[rules]]\nname = 'x'\nchanels = ['log']\n", "are wrong at rules.0.chanels: Extra inputs are not permitted."),
        (
            "[[rules]]\nname = 'x'\nchannels = ['fax']\n",
            "are wrong at rules.0.channels.0: Input should be 'topic', 'webhook', ",
        ),
        ("[watch\n", "are not TOML: "),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    with pytest.raises(AlertRulesError) as error:
        load_rules(path)
    assert str(error.value).startswith(f"The alert rules {path} {words}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AlertRulesError, match=r"cannot be read .* put right GLOBALMART_ALERT_RULES"):
        load_rules(tmp_path / "none.toml")
