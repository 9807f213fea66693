"""From looking to buying: how many sessions came to each step."""

from __future__ import annotations

import altair as alt

from api.explorer.charts.frame import Figure, data, framed, layered, nothing
from api.explorer.charts.measures import measure
from api.explorer.charts.rows import ChartError, Rows, rows_of
from api.explorer.charts.theme import LIGHT, Theme

_STEPS = {
    "session_count": "All sessions",
    "view_session_count": "Viewed a product",
    "cart_session_count": "Changed a cart",
    "order_session_count": "Ordered",
}
_RATES = {
    "cart_session_count": "view_to_cart_rate",
    "order_session_count": "cart_to_order_rate",
}
_SHARES = "Percent: of the sessions of the step before, those that took this one too."


def funnel(table: Rows, theme: Theme = LIGHT, title: str = "From view to order") -> Figure:
    """One row with the counts of `gold/funnel_daily`; optional its rates, which are written beside the steps.

    A session may enter at any step, so a step is not always a part of the one above it. Raises ChartError for several rows: adding them up is
    the asker's business, since sessions of categories overlap.
    """
    rows = rows_of(table, _STEPS, [*_RATES.values(), "conversion_rate"])
    if len(rows) > 1:
        raise ChartError(f"A funnel is drawn from one row, not from {len(rows)}: choose or add up the days first.")
    if not rows or not rows[0]["session_count"]:
        return nothing(theme, title, "No closed sessions in this selection.")
    row = rows[0]
    steps = []
    for column, name in _STEPS.items():
        share = row.get(_RATES.get(column, ""))
        words = "" if share is None else f" · {share:.1%}"
        steps.append({"step": name, "session_count": row[column], "label": f"{row[column]:,}{words}"})
    base = alt.Chart(data(steps)).encode(
        y=alt.Y("step:N", sort=None, axis=alt.Axis(title=None, ticks=False, labelLimit=160)),
        tooltip=[alt.Tooltip("step:N", title="Step"), measure("session_count").tooltip("Sessions")],
    )
    amount = measure("session_count")
    # room for the words right of the longest bar
    scale = alt.Scale(domainMin=0, domainMax=max(step["session_count"] for step in steps) * 1.5)
    bar = base.mark_bar(cornerRadiusEnd=2).encode(x=alt.X("session_count:Q", scale=scale, axis=amount.axis()))
    label = base.mark_text(align="left", dx=6).encode(x="session_count:Q", text="label:N")
    whole = row.get("conversion_rate")
    subtitle = _SHARES + (f" Conversion of all sessions: {whole:.1%}." if whole is not None else "")
    words = f"Funnel. {subtitle} " + " ".join(f"{step['step']}: {step['label']}." for step in steps)
    return framed(layered(bar, label), theme, title, subtitle, words, height=180)
