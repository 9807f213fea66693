"""Heat maps: two dimensions and one value, written into each cell where there is room; and cohorts, the best known of them."""

from __future__ import annotations

import altair as alt

from api.explorer.charts.frame import ROW_HEIGHT, Figure, counted, data, framed, layered, nothing
from api.explorer.charts.measures import measure
from api.explorer.charts.rows import Row, Rows, distinct, rows_of
from api.explorer.charts.theme import LIGHT, Theme

MOST_WRITTEN = 14  # columns whose cells have room for their value


def heat_map(
    table: Rows,
    x: str,
    y: str,
    value: str,
    theme: Theme = LIGHT,
    title: str = "",
    more: tuple[str, ...] = (),
    subtitle: str = "",
) -> Figure:
    """A cell for each row: `x` and `y` must name it, `value` colours it. Order of both axes: that of the rows."""
    rows = [row for row in rows_of(table, [x, y, value], more) if row[value] is not None]
    shown = title or f"{measure(value).title} by {measure(y).title.lower()} and {measure(x).title.lower()}"
    if not rows:
        return nothing(theme, shown)
    return _cells(rows, x, y, value, theme, shown, tuple(column for column in more if column in rows[0]), subtitle)


def cohorts(table: Rows, theme: Theme = LIGHT, title: str = "Customers who came back") -> Figure:
    """Rows of `gold/cohort_retention` of one country: `cohort_month`, `month_number`, `retention_rate`, `is_complete`; optional
    `customer_count`, `active_count`, `cumulative_revenue`. A month that is not over yet is fainter.
    """
    more = ("is_complete", "customer_count", "active_count", "cumulative_revenue")
    rows = rows_of(table, ["cohort_month", "month_number", "retention_rate", "is_complete"], more)
    if not rows:
        return nothing(theme, title)
    for row in rows:
        row["cohort_month"] = str(row["cohort_month"])[:7]
    rows.sort(key=lambda row: (row["cohort_month"], row["month_number"]))
    subtitle = "Share of those who first bought in a month, by months since; fainter: month not over"
    found = tuple(column for column in more if column in rows[0] and column != "is_complete")
    return _cells(rows, "month_number", "cohort_month", "retention_rate", theme, title, found, subtitle)


def _cells(
    rows: list[Row], x: str, y: str, value: str, theme: Theme, title: str, more: tuple[str, ...], subtitle: str
) -> Figure:
    amount = measure(value)
    base = alt.Chart(data(rows)).encode(
        x=alt.X(
            x,
            type="ordinal",
            sort=distinct(rows, x),
            axis=alt.Axis(title=_axis(x), labelAngle=0, grid=False, domain=False),
        ),
        y=alt.Y(y, type="ordinal", sort=distinct(rows, y), axis=alt.Axis(title=_axis(y), domain=False, labelLimit=160)),
        tooltip=[_tooltip(x), _tooltip(y), *[measure(column).tooltip() for column in (value, *more)]],
    )
    cells = base.mark_rect(cornerRadius=2).encode(color=alt.Color(value, type="quantitative", legend=amount.legend()))
    if "is_complete" in rows[0]:
        faint = alt.condition("datum.is_complete", alt.value(1.0), alt.value(0.45))
        cells = cells.encode(opacity=faint)
    chart: Figure = cells
    if len(distinct(rows, x)) <= MOST_WRITTEN:
        short = "$,.3~s" if amount.kind == "money" else (".0%" if amount.kind == "share" else ",.3~s")
        chart = layered(cells, base.mark_text().encode(text=alt.Text(value, type="quantitative", format=short)))
    largest = max(rows, key=lambda row: row[value])
    words = (
        f"Heat map of {amount.label} with {counted(len(rows), 'cell')}. Largest: {largest[y]}, {measure(x).title.lower()} {largest[x]}, "
        f"{amount.written(largest[value])}."
    )
    return framed(chart, theme, title, subtitle, words, max(4, len(distinct(rows, y))) * ROW_HEIGHT)


def _axis(column: str) -> str:
    return {"month_number": "Months since the first purchase", "cohort_month": "First purchase in"}.get(
        column, measure(column).label
    )


def _tooltip(column: str) -> alt.Tooltip:
    return alt.Tooltip(column, type="ordinal", title=_axis(column))
