"""Data Docs: reports as static pages, a folder per run, by Great Expectations' own renderers. Importing this takes seconds.

Pages name no server and run no script, so that they show without a network. Below the site's folder:
`index.html`, `runs/<run>/index.html`, `runs/<run>/<layer>.<table>.html`, and `runs/<run>/results.jsonl`, from which the indexes are made.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when Great Expectations is imported: it must not call home

from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader, select_autoescape

from lakehouse.errors import GlobalMartError
from lakehouse.quality.check import Outcome, Report

KEPT_RUNS = 50
_OURS = Path(__file__).with_name("site")


class SiteError(GlobalMartError):
    """A run's id cannot be a folder's name."""


@dataclass(frozen=True)
class Judged:
    """One line of a run's index: a table, how it fared, and its page. `at` is RFC 3339."""

    table: str
    day: str | None
    passed: bool
    expectations: int
    failed: int
    rows: int
    seconds: float
    at: str
    page: str


def publish(site: Path, run_id: str, report: Report, day: date | None, at: datetime) -> str:
    """Write the page of `report`, judged `at` (UTC) in the run, bring the indexes up to date, and return the page's path in the site.

    A table judged again in the same run replaces its page. Only the newest `KEPT_RUNS` runs stay. Raises SiteError.
    """
    if not re.fullmatch(r"[\w-]{1,100}", run_id):
        raise SiteError(f"The run's id {run_id!r} cannot be the name of a folder.")
    folder = site / "runs" / run_id
    if not folder.is_dir():
        folder.mkdir(parents=True)
        _put(site / "style.css", (_OURS / "style.css").read_text(encoding="utf-8"))
        _forget_old(site)
    page = f"{report.table.replace('/', '.')}.html"
    judged = Judged(
        report.table,
        str(day) if day else None,
        report.passed,
        len(report.outcomes),
        len(report.failed),
        report.row_count,
        report.seconds,
        at.isoformat(timespec="seconds"),
        page,
    )
    _put(folder / page, _page(report, judged, run_id))
    results = [one for one in _results(folder) if one.table != report.table] + [judged]
    _put(folder / "results.jsonl", "".join(json.dumps(asdict(one)) + "\n" for one in results))
    _put(folder / "index.html", _render("run.html", run_id=run_id, results=sorted(results, key=_failed_first)))
    _put(site / "index.html", _render("index.html", runs=_runs(site)))
    return f"runs/{run_id}/{page}"


def _page(report: Report, judged: Judged, run_id: str) -> str:
    results = [_result(outcome, report.row_count) for outcome in report.outcomes]
    good = sum(outcome.success for outcome in report.outcomes)
    suite = ExpectationSuiteValidationResult(
        success=report.passed,
        results=results,
        suite_name=report.table,
        suite_parameters={},
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100 * good / len(results),
        },
        meta={"run_id": RunIdentifier(run_name=run_id, run_time=judged.at)},
    )
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(suite)
    sections = document.sections[:-1]  # the last one is on the run, which the frame tells
    sections[0].content_blocks = [
        sections[0].content_blocks[1]
    ]  # the first names a suite's page, which this site has not
    titles = [section.section_name for section in sections]
    document.sections = sections
    words = {"table": report.table, "day": judged.day, "passed": report.passed, "rows": f"{report.row_count:,}"}
    return str(_view().render(document, "frame.html", run_id=run_id, at=judged.at[:19], titles=titles, **words))


def _result(outcome: Outcome, row_count: int) -> ExpectationValidationResult:
    """An outcome as Great Expectations' result. Its templates print values as they are, so they are escaped here."""
    count = outcome.unexpected_count
    found: dict[str, Any] = {
        "element_count": row_count,
        "unexpected_count": count,
        "unexpected_percent": 100 * count / max(row_count, count, 1),
        "partial_unexpected_list": [html.escape(sample) for sample in outcome.samples],
    }
    config = ExpectationConfiguration(
        type=outcome.kind, kwargs=dict(outcome.arguments), description=html.escape(outcome.expectation)
    )
    return ExpectationValidationResult(success=outcome.success, expectation_config=config, result=found)


def _runs(site: Path) -> list[dict[str, Any]]:
    """All runs of the site, newest first."""
    runs = []
    for folder in (site / "runs").iterdir():
        if results := _results(folder):
            failed = sorted(one.table for one in results if not one.passed)
            at = max(one.at for one in results)[:19]
            runs.append({"id": folder.name, "at": at, "tables": len(results), "failed": failed})
    return sorted(runs, key=lambda run: (run["at"], run["id"]), reverse=True)


def _results(folder: Path) -> list[Judged]:
    path = folder / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Judged(**json.loads(line)) for line in lines]


def _failed_first(one: Judged) -> tuple[bool, str]:
    return one.passed, one.table


def _forget_old(site: Path) -> None:
    folders: Iterable[Path] = (site / "runs").iterdir()
    newest_first = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in newest_first[KEPT_RUNS:]:
        shutil.rmtree(folder, ignore_errors=True)


def _put(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _render(template: str, **values: Any) -> str:
    return str(_view().env.get_template(template).render(**values))


@cache
def _view() -> DefaultJinjaPageView:
    """Great Expectations' view with this package's frames in front of its own templates; the frames' own values are escaped."""
    view = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([FileSystemLoader(_OURS), view.env.loader])
    view.env.autoescape = select_autoescape(["html"])
    return view
