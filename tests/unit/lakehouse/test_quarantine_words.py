"""Raw bytes are safe to print, times are read as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.quarantine.words import TimeError, as_json, read_time, safe

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "(null)"),
        (b"", "(empty)"),
        (b'{"a":1}', '{"a":1}'),
        ("Käse 🧀".encode(), "Käse 🧀"),
        (b"\x1b[31mred\x07\r\n", r"\x1b[31mred\x07\r\n"),
        (b"caf\xe9", r"caf\xe9"),
        ("a\u202eb".encode(), r"a\u202eb"),
        (b"x" * 1000, "x" * 160 + "… (1,000 bytes)"),
    ],
)
def test_bytes_are_one_printable_line(value, shown):
    assert safe(value) == shown


def test_bytes_for_programs_are_exact():
    assert as_json(b"caf\xe9") == {"text": None, "base64": "Y2Fm6Q=="}
    assert as_json(b"{}") == {"text": "{}", "base64": "e30="}
    assert as_json(None) == {"text": None, "base64": None}


def test_times_and_ages():
    assert read_time(None, NOW) is None
    assert read_time("90m", NOW) == NOW - timedelta(minutes=90)
    assert read_time("7d", NOW) == NOW - timedelta(days=7)
    assert read_time("2026-03-14", NOW) == datetime(2026, 3, 14, tzinfo=UTC)
    assert read_time("2026-03-14T09:30+02:00", NOW) == datetime(2026, 3, 14, 7, 30, tzinfo=UTC)
    with pytest.raises(TimeError, match="'soon' is no time"):
        read_time("soon", NOW)
