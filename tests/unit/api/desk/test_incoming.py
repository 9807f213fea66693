"""Messages of `detections`: what both lanes write is read back whole, anything else is refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from api.desk.errors import UnreadableFindingError
from api.desk.incoming import read_finding
from lakehouse.findings import Finding

WHOLE = Finding(
    finding_id="0123", kind="price_mismatch", severity="critical", fingerprint="price|P1", title="t", detail="d",
    event_at=datetime(2026, 5, 4, 10, 0, 0, 123000, tzinfo=UTC), detected_at=datetime(2026, 5, 4, 10, 0, 1, tzinfo=UTC),
    score=0.9, verdict="confirmed", lane="realtime", is_anomaly=True, event_id="e", user_id="u", product_id="p", country="DE",
    evidence={"paid": 1.5, "lines": [1, {"x": None}]},
)  # fmt: skip


def body(**changes: Any) -> bytes:
    return orjson.dumps({**orjson.loads(WHOLE.to_json()), **changes})


def test_what_a_lane_writes_is_read_back_whole() -> None:
    assert read_finding(WHOLE.to_json()) == WHOLE


def test_what_has_a_default_may_be_missing_and_unknown_fields_are_passed_over() -> None:
    needed = ("finding_id", "kind", "severity", "fingerprint", "title", "detail", "event_at", "detected_at")
    sparse = {name: value for name, value in orjson.loads(WHOLE.to_json()).items() if name in needed}
    default = Finding(**{name: getattr(WHOLE, name) for name in needed})
    assert read_finding(orjson.dumps({**sparse, "later": 1})) == default


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the record has no value"),
        (b"", "Invalid JSON: EOF while parsing"),
        (b"{", "Invalid JSON: EOF while parsing"),
        (b"[]", "Input should be"),
        (body(severity="fatal"), "severity: Input should be 'info', 'warning' or 'critical'"),
        (body(verdict=None), "verdict: Input should be 'raised', 'confirmed' or 'retracted'"),
        (body(fingerprint=""), "fingerprint has 0 characters, 1 to 300 are allowed"),
        (body(finding_id="x" * 301), "finding_id has 301 characters, 1 to 300 are allowed"),
        (body(event_at="2026-05-04T10:00:00"), "a time has no offset from UTC"),
        (body(event_at="soon"), "event_at: Input should be a valid datetime"),
        (body(evidence="text"), "evidence: Input should be an object"),
        (WHOLE.to_json().replace(b'"t"', b'"\\ud800"'), "Invalid JSON: "),
        (b"\xff\xfe", "Invalid JSON: "),
    ],
)
def test_anything_else_is_refused_with_its_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(UnreadableFindingError) as error:
        read_finding(value)
    assert str(error.value).startswith(reason)


def test_long_texts_are_cut_and_nul_characters_left_out() -> None:
    told = read_finding(body(title="x\0" * 400, detail="y" * 6_000, evidence={"a\0": ["b\0", {"c": "\0"}], "n": 1}))
    assert told == replace(WHOLE, title="x" * 300, detail="y" * 5_000, evidence={"a": ["b", {"c": ""}], "n": 1})


def test_times_of_another_zone_become_utc() -> None:
    assert (
        read_finding(body(event_at="2026-05-04T12:00:00.123+02:00")).event_at.isoformat()
        == "2026-05-04T10:00:00.123000+00:00"
    )
