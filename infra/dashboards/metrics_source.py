"""The second data source: Prometheus, for what the platform measures of itself; and queries to it."""

from __future__ import annotations

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

KIND = "prometheus"
UID = "globalmart-prometheus"
SOURCE = DataSourceRef(type_val=KIND, uid=UID)


class Promql(Dataquery):
    """A query in PromQL: over time with one series per `legend`, or its newest values as a table."""

    def __init__(self, expression: str, legend: str = "", is_table: bool = False) -> None:
        super().__init__()
        self.expr(" ".join(expression.split())).ref_id("A").editor_mode(QueryEditorMode.CODE).datasource(SOURCE)
        if legend:
            self.legend_format(legend)
        if is_table:
            self.instant().format(PromQueryFormat.TABLE)
        else:
            self.range().format(PromQueryFormat.TIME_SERIES)
