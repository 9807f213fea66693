"""Charts: pure functions from a table to an Altair figure, for the pages of the explorer and for notebooks alike.

A function draws the rows that it is given and defines no figure of its own: sums, rates and forecasts come from gold, by the API or a query.
It takes a pandas or Arrow table, or a list of rows, with columns named as in the lake (docs/warehouse.md); tables without rows give a chart that
says so, and what cannot be drawn raises ChartError with a sentence for whoever asked. Every chart has a title, axes with units, a description for
screen readers, and the width of its container; `theme` is LIGHT or DARK, and only the `config` of the specification depends on it.
"""

from api.explorer.charts.bars import bars, sales_by_category, segments, stock_levels, top_products
from api.explorer.charts.explore import ChartType, explore
from api.explorer.charts.frame import Figure, nothing
from api.explorer.charts.funnel import funnel
from api.explorer.charts.heat import cohorts, heat_map
from api.explorer.charts.picture import picture
from api.explorer.charts.rows import ChartError, Rows
from api.explorer.charts.sales_map import sales_map
from api.explorer.charts.theme import DARK, LIGHT, THEMES, Theme
from api.explorer.charts.timeline import anomalies, anomaly_counts, ingestion_rates, over_time
from api.explorer.charts.trend import revenue_over_time

__all__ = [
    "DARK",
    "LIGHT",
    "THEMES",
    "ChartError",
    "ChartType",
    "Figure",
    "Rows",
    "Theme",
    "anomalies",
    "anomaly_counts",
    "bars",
    "cohorts",
    "explore",
    "funnel",
    "heat_map",
    "ingestion_rates",
    "nothing",
    "over_time",
    "picture",
    "revenue_over_time",
    "sales_by_category",
    "sales_map",
    "segments",
    "stock_levels",
    "top_products",
]
