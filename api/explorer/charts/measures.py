"""What a column is called and how its values are written on axes and in tooltips: read off its name, by the suffixes of docs/naming.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

Kind = Literal["money", "count", "share", "number", "time", "date", "text"]

_TITLES = {
    "anomaly_count": "Anomalies",
    "monetary": "Revenue",
    "unit_count": "Units",
    "period_start": "Day",
    "r_score": "Recency score",
    "f_score": "Frequency score",
    "m_score": "Money score",
    "p_alive": "Probability of buying again",
    "level": "Stock",
    "lift": "Lift",
    "support": "Support",
}
_UNITS = {"unit_count": "units", "level": "units", "recency_days": "days"}
_MONEY = ("revenue", "amount", "monetary", "price", "_value")
_SHARES = ("_rate", "_share", "p_alive", "support", "_growth", "_error", "coverage", "price_realisation")
_DATES = ("date", "period_start", "period_end", "cohort_month", "day")
_TIMES = ("minute", "second", "hour", "timestamp")
# d3's letters for thousands and more, but B for a thousand million as English has it
_SHORT = "replace(format(datum.value, '{}'), 'G', 'B')"
_CLOCK = {
    **{"year": "%Y", "quarter": "%b", "month": "%b", "week": "%-d %b", "date": "%-d %b", "day": "%-d %b"},
    **{"hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S"},
}
_LETTERS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))
_FORMATS: dict[Kind, tuple[str, str]] = {  # in tooltips, on axes
    "money": ("$,.2f", "$~s"),
    "count": (",d", "~s"),
    "share": (".1%", ".0%"),
    "number": (",.3~f", "~s"),
}


@dataclass(frozen=True)
class Measure:
    """A column as people read it. `unit` is empty where the values need none."""

    column: str
    title: str
    kind: Kind
    unit: str

    @property
    def label(self) -> str:
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def is_temporal(self) -> bool:
        return self.kind in {"time", "date"}

    @property
    def format(self) -> str:
        """d3's format of one value."""
        return _FORMATS[self.kind][0]

    def axis(self, **options: Any) -> alt.Axis:
        """The axis of the measure's values: title with unit, short labels."""
        return alt.Axis(title=self.label, labelExpr=_SHORT.format(_FORMATS[self.kind][1]), tickCount=5, **options)

    def when(self, title: str, **options: Any) -> alt.X:
        """The axis of the measure's times: UTC, by a clock of 24 hours."""
        return alt.X(
            self.column,
            type="temporal",
            scale=alt.Scale(type="utc"),
            axis=alt.Axis(title=title, format=_CLOCK, **options),
        )

    def legend(self) -> alt.Legend:
        return alt.Legend(title=self.label, format=_FORMATS[self.kind][1])

    def tooltip(self, title: str = "") -> alt.Tooltip:
        """Its line in a tooltip; times in UTC."""
        name = title or self.label
        if self.kind == "time":
            return alt.Tooltip(
                self.column,
                type="temporal",
                title=name,
                timeUnit="utcyearmonthdatehoursminutes",
                format="%-d %b %Y %H:%M",
            )
        if self.kind == "date":
            return alt.Tooltip(
                self.column, type="temporal", title=name, timeUnit="utcyearmonthdate", format="%-d %b %Y"
            )
        if self.kind == "text":
            return alt.Tooltip(self.column, type="nominal", title=name)
        return alt.Tooltip(self.column, type="quantitative", title=name, format=self.format)

    def written(self, value: float | None) -> str:
        """`value` in words for descriptions."""
        if value is None:
            return "no value"
        if self.kind == "money":
            return f"{'-' if value < 0 else ''}${abs(value):,.2f}"
        if self.kind == "share":
            return f"{value:.1%}"
        number = f"{value:,.3f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"
        return f"{number} {self.unit}".strip()

    def short(self, value: float) -> str:
        """`value` in a few characters, for labels."""
        if self.kind == "share":
            return f"{value:.0%}"
        size, letter = next(((n, one) for n, one in _LETTERS if abs(value) >= n), (1.0, ""))
        scaled = value / size
        number = f"{scaled:,.{0 if abs(scaled) >= 100 else 1}f}".removesuffix(".0")
        return f"{'-' if value < 0 else ''}{'$' if self.kind == 'money' else ''}{number.removeprefix('-')}{letter}"


def measure(column: str) -> Measure:
    """How `column` is read."""
    words = f"{column.removesuffix('_count')}s" if column.endswith("_count") else column
    title = _TITLES.get(column) or words.replace("_", " ").capitalize()
    kind = kind_of(column)
    units: dict[Kind, str] = {"money": "USD", "time": "UTC", "date": "UTC"}
    return Measure(column, title, kind, units.get(kind) or _UNITS.get(column, ""))


def kind_of(column: str) -> Kind:
    if column in _DATES or column.endswith("_date"):
        return "date"
    if column in _TIMES or column.endswith("_at"):
        return "time"
    if any(mark in column for mark in _SHARES):
        return "share"
    if any(mark in column for mark in _MONEY):
        return "money"
    if column.endswith(("_count", "_days", "_score")) or column == "level":
        return "count"
    if column in {"lift", "score"} or column.endswith(("_index", "_seconds", "_per_day", "_per_second", "_estimate")):
        return "number"
    return "text"
