"""Bars, one for each row: sales by category, top products, customer segments, stock levels."""

from __future__ import annotations

import altair as alt

from api.explorer.charts.frame import Figure, bars_height, counted, data, framed, layered, nothing
from api.explorer.charts.measures import measure
from api.explorer.charts.rows import Row, Rows, rows_of
from api.explorer.charts.theme import LIGHT, Theme

STATUS = ["ok", "low", "out"]  # the palette's first three colours: fine, warning, bad


def bars(
    table: Rows,
    name: str,
    value: str,
    theme: Theme = LIGHT,
    title: str = "",
    subtitle: str = "",
    more: tuple[str, ...] = (),
    colour: alt.Color | None = None,
    note: str = "",
    *,
    as_given: bool = False,
) -> Figure:
    """A horizontal bar of `value` for each row, labelled with `name`, longest first or `as_given`; `more` columns are told in the tooltip.

    Names must be unique; rows without a value have no bar. The value, and that of the column `note`, are written at the bar's end.
    """
    shown, amount = title or f"{measure(value).title} by {measure(name).title.lower()}", measure(value)
    rows = [row for row in rows_of(table, [name, value, *([note] if note else [])], more) if row[value] is not None]
    if not rows:
        return nothing(theme, shown)
    by_value = sorted(rows, key=lambda row: -row[value])
    longest, shortest = max(0, by_value[0][value]), min(0, by_value[-1][value])
    rows = rows if as_given else by_value
    found = [column for column in more if column in rows[0]]
    for row in rows:
        words = amount.short(row[value])
        row["label"], row["end"] = f"{words} · {row[note]}" if note else words, max(0, row[value])
    # room for the words right of the longest bar
    scale = alt.Scale(domain=[shortest, longest + 0.3 * ((longest - shortest) or 1)], nice=False)
    base = alt.Chart(data(rows)).encode(
        y=alt.Y(name, type="nominal", sort=None, axis=alt.Axis(title=None, labelLimit=160, ticks=False)),
        tooltip=[measure(column).tooltip() for column in (name, value, *found)],
    )
    x = alt.X(value, type="quantitative", axis=amount.axis(), scale=scale)
    marks = base.mark_bar(cornerRadiusEnd=2).encode(x=x)
    if colour is not None:
        marks = marks.encode(color=colour)
    labels = base.mark_text(align="left", dx=5).encode(x="end:Q", text="label:N")
    words = f"Bar chart of {counted(len(rows), 'row')} by {amount.label}. {_ends(by_value, name, value)}"
    return framed(layered(marks, labels), theme, shown, subtitle, words, bars_height(len(rows)))


def sales_by_category(table: Rows, theme: Theme = LIGHT, title: str = "Revenue by category") -> Figure:
    """Rows with `category` and `revenue`; optional `unit_count` and growth columns of `gold/sales_trends`."""
    return bars(
        table, "category", "revenue", theme, title, more=("unit_count", "revenue_growth_week", "revenue_growth_month")
    )


def top_products(table: Rows, theme: Theme = LIGHT, title: str = "Top products") -> Figure:
    """Rows with `product_id` and `revenue`; optional `name`, `category`, `unit_count`, `order_count`. A bar is labelled with the name and the
    id, since names are not unique.
    """
    rows = rows_of(table, ["product_id", "revenue"], ["name", "category", "unit_count", "order_count"])
    return bars(_labelled(rows), "product", "revenue", theme, title, more=("category", "unit_count", "order_count"))


def segments(table: Rows, theme: Theme = LIGHT, title: str = "Customer segments") -> Figure:
    """Rows with `segment` and `customer_count`; optional `monetary` (sum) and `mean_monetary`, USD of 365 days."""
    return bars(
        table, "segment", "customer_count", theme, title, "RFM of the last 365 days", more=("monetary", "mean_monetary")
    )


def stock_levels(table: Rows, theme: Theme = LIGHT, title: str = "Stock levels") -> Figure:
    """Rows of `gold/inventory_levels`, once read: `product_id`, `level`, `status`; optional `name`, `category`, `days_of_cover`,
    `sell_rate_per_day`. A negative level is what was sold beyond the stock.
    """
    rows = rows_of(table, ["product_id", "level", "status"], ["name", "category", "days_of_cover", "sell_rate_per_day"])
    colour = alt.Color("status:N", scale=alt.Scale(domain=STATUS), legend=alt.Legend(title="Status"))
    more = ("status", "category", "days_of_cover", "sell_rate_per_day")
    return bars(_labelled(rows), "product", "level", theme, title, "Units on hand by status", more, colour, "status")


def _labelled(rows: list[Row]) -> list[Row]:
    """Rows with `product`: what a reader knows the product by."""
    return [
        row | {"product": f"{row['name']} ({row['product_id']})" if row.get("name") else row["product_id"]}
        for row in rows
    ]


def _ends(rows: list[Row], name: str, value: str) -> str:
    amount = measure(value)
    first, last = rows[0], rows[-1]
    words = f"Largest: {first[name]}, {amount.written(first[value])}."
    return words if len(rows) == 1 else f"{words} Smallest: {last[name]}, {amount.written(last[value])}."
