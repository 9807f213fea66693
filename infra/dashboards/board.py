"""A dashboard put together: rows of panels with ids, variables, links, UTC. Every dashboard is made here, so all are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync

from infra.dashboards import links
from infra.dashboards.panels import Panel

Variable = dashboard.CustomVariable | dashboard.QueryVariable


@dataclass(frozen=True, eq=False)
class Board:
    """What a dashboard is made of. `since` is the default period, as Grafana writes it (`now-24h`); `pages` are (title, explorer page).

    `rows` are titles with their panels: widths of a line add up to 24, and panels of a line are equally high.
    """

    uid: str
    title: str
    answers: str
    folder: str
    since: str
    refresh: str
    variables: Sequence[Variable]
    rows: Sequence[tuple[str, Sequence[Panel]]]
    pages: Sequence[tuple[str, str]]

    def build(self, api_url: str) -> Dashboard:
        """The dashboard; panels are numbered in the order in which they are read."""
        made = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.answers)
            .tags([links.TAG])
            .readonly()
            .timezone("utc")
            .week_start("monday")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .time(self.since, "now")
            .refresh(self.refresh)
            .link(links.to_dashboards())
        )
        for title, page in self.pages:
            made.link(links.to_explorer(title, api_url, page))
        for variable in self.variables:
            made.with_variable(variable)
        number = 0
        for title, panels in self.rows:
            number += 1
            made.with_row(dashboard.Row(title).id(number))
            for panel in panels:
                number += 1
                made.with_panel(panel.id(number))
        return made.build()
