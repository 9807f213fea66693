"""`lakehouse.quality.docs`: pages and indexes of runs, with escaped values, masked offenders, without scripts and servers."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.quality.check import MASK, Outcome, Report
from lakehouse.quality.docs import KEPT_RUNS, SiteError, publish
from lakehouse.quality.rules import rules
from lakehouse.quality.suites import expectation, structure
from lakehouse.tables import CUSTOMER_RFM, FACT_SALES, Table

AT = datetime(2026, 3, 15, 0, 20, tzinfo=UTC)
DAY = date(2026, 3, 14)
HOSTILE = "<script>alert('$value')</script>"


def report(table: Table, *broken: str) -> Report:
    """All expectations of `table`, of which those named are broken by two rows."""
    configs = [one.configuration for one in (*structure(table), *(expectation(table, rule) for rule in rules(table)))]
    rows = ({"user_id": MASK, "country": HOSTILE}, {"user_id": MASK, "country": "FR"})
    outcomes = [
        Outcome(c.description, False, 2, rows, c.type, c.kwargs)
        if c.description in broken
        else Outcome(c.description, True, kind=c.type, arguments=c.kwargs)
        for c in configs
    ]
    assert sum(not one.success for one in outcomes) == len(broken)
    return Report(table.path, 1_234, tuple(outcomes), 0.5)


def words(page: Path) -> str:
    """The page's text, tags and spaces apart."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


def test_a_page_has_every_expectation_and_the_offenders_of_broken_ones(tmp_path: Path) -> None:
    judged = report(CUSTOMER_RFM, "segment is one of its known values", "as_of_date, user_id is unique")
    path = tmp_path / publish(tmp_path, "run-1", judged, DAY, AT)
    text = words(path)
    for outcome in judged.outcomes:
        assert outcome.expectation in text
    assert "unknown" not in text
    assert text.count("100% not null") == sum(
        one.kind == "expect_column_values_to_not_be_null" for one in judged.outcomes
    )
    assert "gold/customer_rfm · 2026-03-14" in text
    assert "failed · 1,234 rows · judged 2026-03-15T00:20:00 UTC" in text
    assert text.count("2 unexpected values found") == 2
    assert text.count(f"user_id={MASK}, country=FR") == 2
    source = path.read_text(encoding="utf-8")
    assert "<script" not in source
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", source)
    assert "&lt;script&gt;alert(" in source


def test_the_indexes_name_each_table_of_a_run_once_failed_ones_first_and_the_newest_run_first(tmp_path: Path) -> None:
    publish(tmp_path, "run-1", report(CUSTOMER_RFM), DAY, AT)
    publish(tmp_path, "run-1", report(FACT_SALES, "country is in gold/dim_country"), DAY, AT)
    publish(tmp_path, "run-2", report(CUSTOMER_RFM, "frequency is at least 1"), DAY, AT + timedelta(hours=1))
    publish(tmp_path, "run-2", report(CUSTOMER_RFM), DAY, AT + timedelta(hours=2))  # judged again
    run_1, run_2, site = (
        words(tmp_path / name) for name in ("runs/run-1/index.html", "runs/run-2/index.html", "index.html")
    )
    count = len(report(FACT_SALES).outcomes)
    assert f"gold/fact_sales 2026-03-14 failed {count} 1 1,234 0.50 gold/customer_rfm 2026-03-14 passed" in run_1
    assert run_2.count("gold/customer_rfm") == 1
    assert "run-2 2026-03-15T02:20:00 1 none run-1 2026-03-15T00:20:00 2 gold/fact_sales" in site
    for page in tmp_path.rglob("*.html"):
        for link in re.findall(r'href="([^"#]+)"', page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), f"{page}: {link}"


def test_only_the_newest_runs_stay(tmp_path: Path) -> None:
    for number in range(KEPT_RUNS):
        folder = tmp_path / "runs" / f"old-{number}"
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    publish(tmp_path, "new", report(CUSTOMER_RFM), DAY, AT)
    left = {folder.name for folder in (tmp_path / "runs").iterdir()}
    assert left == {"new", *(f"old-{number}" for number in range(1, KEPT_RUNS))}


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", "a b", "x" * 101])
def test_an_id_that_is_no_folders_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(SiteError, match="cannot be the name of a folder"):
        publish(tmp_path, run_id, report(CUSTOMER_RFM), DAY, AT)
    assert list(tmp_path.iterdir()) == []
