"""The report as one HTML file: the explorer's charts as pictures, tables, no script and nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from api.explorer import charts
from infra.simulate.outcome import Alarm, Outcome
from infra.simulate.plan import EXAMPLE

_MOST_KINDS = 5  # of alarms in one chart; the rest is summed up
_MOST_ALARMS = 60
_PLATFORM = ("service_", "stream_", "data_quality", "run_", "check_", "channel_")


def page(outcome: Outcome, version: str) -> str:
    """The whole file."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    env.filters["span"] = span
    platform = [one for one in outcome.alarms if one.kind.startswith(_PLATFORM)]
    return env.get_template("report.html").render(
        outcome=outcome,
        version=version,
        example=EXAMPLE,
        pictures=pictures(outcome),
        platform=platform[:_MOST_ALARMS],
        platform_count=len(platform),
        kinds=Counter(one.kind for one in outcome.alarms).most_common(),
        records={name: sum(getattr(line, name) for line in outcome.books.topics) for name in _RECORDS},
    )


_RECORDS = ("kafka", "bronze", "silver", "quarantine", "duplicates", "in_flight")


def span(seconds: float | None) -> str:
    """`1 d 2 h`, `3 h 20 min`, `4 min 5 s` or `12 s`; `none` where there is none."""
    if seconds is None:
        return "none"
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    parts = ((whole.days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2]) or "0 s"


def pictures(outcome: Outcome) -> dict[str, Markup]:
    """By section, an SVG with a text for who does not see it."""
    hours: list[dict[str, Any]] = [vars(one) for one in outcome.hours]
    marks = "Incidents: " + "; ".join(
        f"{one.kind} {one.begins_at:%-d %b %H:%M} to {one.ends_at:%H:%M}" for one in outcome.incidents
    )
    said = marks if outcome.incidents else ""
    batch_seconds = [
        {"hour": one.hour, "micro_batch": which, "batch_seconds": value}
        for one in outcome.hours
        for which, value in (("median", one.batch_seconds_median), ("longest", one.batch_seconds_longest))
        if value is not None
    ]
    lag = [{"hour": one.hour, "waiting_record_count": one.lag_record_count} for one in outcome.hours]
    bad = [{"hour": one.hour, "quarantined_record_count": one.quarantined_count} for one in outcome.hours]
    made = [{"table": table.table, "run_seconds": table.seconds} for run in outcome.runs[-1:] for table in run.tables]
    figures = {
        "events": charts.over_time(
            hours, "hour", "event_count", kind="bar", title="Events by simulated hour", subtitle=said
        ),
        "revenue": charts.over_time(
            hours, "hour", "revenue", kind="bar", title="Revenue by simulated hour", subtitle=said
        ),
        "batches": charts.over_time(
            batch_seconds, "hour", "batch_seconds", "micro_batch", title="Micro-batches, real seconds", subtitle=said
        ),
        "lag": charts.over_time(
            lag, "hour", "waiting_record_count", title="Records that waited in Kafka", subtitle=said
        ),
        "quarantine": charts.over_time(
            bad, "hour", "quarantined_record_count", kind="bar", title="Records sent to quarantine", subtitle=said
        ),
        "files": charts.over_time(hours, "hour", "file_count", title="Files of the streaming tables"),
        "alarms": charts.over_time(
            alarm_rows(outcome.alarms),
            "hour",
            "alarm_count",
            "kind",
            "bar",
            title="Alarms by simulated hour",
            subtitle=said,
        ),
        "marts": charts.bars(made, "table", "run_seconds", title="Seconds of each table in the last daily run"),
    }
    return {name: _embedded(figure) for name, figure in figures.items()}


def alarm_rows(alarms: list[Alarm]) -> list[dict[str, Any]]:
    """`hour`, `kind`, `alarm_count`: the most frequent kinds by name, the others as one."""
    most = {kind for kind, _ in Counter(one.kind for one in alarms).most_common(_MOST_KINDS)}
    counts = Counter(
        (one.simulated_at.replace(minute=0, second=0, microsecond=0), one.kind if one.kind in most else "others")
        for one in alarms
    )
    return [{"hour": hour, "kind": kind, "alarm_count": count} for (hour, kind), count in sorted(counts.items())]


def _embedded(figure: charts.Figure) -> Markup:
    spec = figure.to_dict()
    words = Markup.escape(spec.get("description", "A chart"))
    return Markup('<figure role="img" aria-label="{}">{}</figure>').format(words, Markup(charts.picture(spec)))  # noqa: S704
