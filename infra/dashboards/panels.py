"""Panels as this project draws them: one function per kind, each with a title, a description, a unit and its query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import barchart, bargauge, common, dashboard, geomap, stat, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.common import BigValueColorMode, BigValueGraphMode, GraphDrawStyle, StackingMode
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Threshold, ThresholdsMode

from infra.dashboards import metrics_source
from infra.dashboards.metrics_source import Promql
from infra.dashboards.source import SOURCE, Format, Sql

# Whole dollars and cents, never shortened to thousands; `short` is a plain number with K and M, `locale` one with separators.
MONEY, COUNT, SHARE, SECONDS, PER_SECOND, FACTOR = "prefix:$", "locale", "percentunit", "s", "cps", "none"
BYTES = "bytes"
_DECIMALS: dict[str, int] = {MONEY: 2, COUNT: 0, SHARE: 2, SECONDS: 1, PER_SECOND: 1, FACTOR: 2, BYTES: 1}
NOTHING = "nothing in this period"

Panel = timeseries.Panel | stat.Panel | table.Panel | barchart.Panel | bargauge.Panel | geomap.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, barchart.Panel, bargauge.Panel, geomap.Panel)
Limits = Sequence[tuple[float, str]]
"""From which value on which colour; below the first it is green."""


def _described(panel: P, title: str, description: str, unit: str, size: tuple[int, int], query: Sql | Promql) -> P:
    return (
        panel.title(title)
        .description(description)
        .datasource(SOURCE if isinstance(query, Sql) else metrics_source.SOURCE)
        .unit(unit)
        .decimals(_DECIMALS[unit])
        .no_value(NOTHING)
        .span(size[0])
        .height(size[1])
        .with_target(query)
    )


def _limits(limits: Limits) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in limits)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _by_unit(panel: P, units: Mapping[str, str]) -> P:
    """Columns by name that have another unit than the panel."""
    for name, unit in units.items():
        panel.override_by_name(
            name, [DynamicConfigValue("unit", unit), DynamicConfigValue("decimals", _DECIMALS[unit])]
        )
    return panel


def _query(asked: str | Promql, format_as: Format = "table") -> Sql | Promql:
    """SQL is for the mirror, PromQL for Prometheus."""
    return Sql(asked, format_as) if isinstance(asked, str) else asked


def figure(
    title: str,
    description: str,
    unit: str,
    asked: str | Promql,
    *,
    width: int = 4,
    limits: Limits = (),
    units: Mapping[str, str] | None = None,
) -> stat.Panel:
    """One row's numbers, large. A column `Change` is a share: 0.1 is ten percent more than before."""
    panel = (
        _described(stat.Panel(), title, description, unit, (width, 4), _query(asked))
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/.*/"))
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .thresholds(_limits(limits))
    )
    if isinstance(asked, str) and '"Change"' in asked:
        down_is_red = {"mode": "absolute", "steps": [{"value": None, "color": "red"}, {"value": 0, "color": "green"}]}
        panel.override_by_name(
            "Change",
            [
                DynamicConfigValue("unit", SHARE),
                DynamicConfigValue("decimals", 1),
                DynamicConfigValue("noValue", "no earlier period"),
                DynamicConfigValue("thresholds", down_is_red),
            ],
        )
    return _by_unit(panel, units or {})


def over_time(
    title: str,
    description: str,
    unit: str,
    asked: str | Promql,
    *,
    width: int = 12,
    height: int = 8,
    bars: bool = True,
    stacked: bool = True,
) -> timeseries.Panel:
    """One series per `metric`; bars for what adds up, lines for what does not."""
    panel = (
        _described(timeseries.Panel(), title, description, unit, (width, height), _query(asked, "time_series"))
        .draw_style(GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
        .fill_opacity(70 if bars else 0)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )
    if bars and stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    return panel


def rows(
    title: str,
    description: str,
    asked: str | Promql,
    *,
    unit: str = COUNT,
    width: int = 12,
    height: int = 9,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, dict[str, object]] | None = None,
) -> table.Panel:
    """A table. `units` by column where it is not `unit`; `links` by column."""
    panel = _described(table.Panel(), title, description, unit, (width, height), _query(asked)).show_header(True)
    for name, link in (links or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("links", [link])])
    return _by_unit(panel, units or {})


def bars(
    title: str,
    description: str,
    unit: str,
    sql: str,
    *,
    width: int = 12,
    height: int = 9,
    across: bool = True,
    unseen: Sequence[str] = (),
) -> barchart.Panel:
    """A bar per row, named by the first column; `across` lays them down. Columns `unseen` are told in the tooltip alone."""
    panel = (
        _described(barchart.Panel(), title, description, unit, (width, height), Sql(sql))
        .orientation(kinds.VizOrientation.HORIZONTAL if across else kinds.VizOrientation.VERTICAL)
        .show_value(kinds.VisibilityMode.AUTO if across else kinds.VisibilityMode.NEVER)
        .x_tick_label_spacing(0 if across else 100)
        .fill_opacity(80)
        .line_width(1)
        .gradient_mode(kinds.GraphGradientMode.NONE)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(not across)
            .calcs([])
        )
    )
    for name in unseen:
        hidden = {"viz": True, "legend": True, "tooltip": False}
        panel.override_by_name(name, [DynamicConfigValue("custom.hideFrom", hidden)])
    return panel


def world(title: str, description: str, unit: str, sql: str, value: str, *, width: int, height: int) -> geomap.Panel:
    """A map with a circle per country; column `country` has ISO codes, column `value` the size of the circle."""
    circle = {
        "size": {"field": value, "fixed": 5, "min": 6, "max": 40},
        "color": {"field": value, "fixed": "blue"},
        "opacity": 0.6,
        "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
    }
    where = (
        common.FrameGeometrySource()
        .mode(kinds.FrameGeometrySourceMode.LOOKUP)
        .lookup("country")
        .gazetteer("public/gazetteer/countries.json")
    )
    layer = (
        common.MapLayerOptions()
        .type("markers")
        .name(value)
        .location(where)
        .config({"showLegend": False, "style": circle})
    )
    view = geomap.MapViewConfig().id("coords").lat(25).lon(5).zoom(1)
    return (
        _described(geomap.Panel(), title, description, unit, (width, height), Sql(sql))
        .view(view)
        .basemap(common.MapLayerOptions().type("default").name("Map"))
        .layers([layer])
    )
