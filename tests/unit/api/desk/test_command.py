"""`globalmart alerts`: help with examples, and times that are read or refused before anything is asked of PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from api.desk.command import _end, app
from lakehouse.errors import SettingsError

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("command", ["list", "show", "acknowledge", "snooze", "resolve"])
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: globalmart alerts {command}" in result.output


@pytest.mark.parametrize(
    ("span", "until", "end"),
    [
        ("30m", "", NOW + timedelta(minutes=30)),
        ("4h", "", NOW + timedelta(hours=4)),
        ("2d", "", NOW + timedelta(days=2)),
        ("", "2026-05-05T08:00Z", datetime(2026, 5, 5, 8, tzinfo=UTC)),
        ("", "2026-05-05T08:00", datetime(2026, 5, 5, 8, tzinfo=UTC)),
        ("", "2026-05-05T08:00+02:00", datetime(2026, 5, 5, 6, tzinfo=UTC)),
    ],
)
def test_a_snooze_ends_after_a_span_or_at_a_time(span: str, until: str, end: datetime) -> None:
    assert _end(span, until, NOW) == end


@pytest.mark.parametrize(
    ("span", "until"), [("", ""), ("4h", "2026-05-05"), ("4", ""), ("4w", ""), ("99999h", ""), ("", "tomorrow")]
)
def test_any_other_time_is_refused(span: str, until: str) -> None:
    with pytest.raises(SettingsError):
        _end(span, until, NOW)
