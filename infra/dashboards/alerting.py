"""Alert rules: what on the dashboards somebody should be woken for. Each is one number of the mirror against one limit.

The alert desk tells of single findings (docs/alerts.md); these rules watch what only a figure over time shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from grafana_foundation_sdk.builders import alerting, expr
from grafana_foundation_sdk.models.alerting import RelativeTimeRange, Rule
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from infra.dashboards.figures import within
from infra.dashboards.links import CUSTOMERS, INGESTION, PRODUCTS, SALES
from infra.dashboards.source import UID, Sql

FOLDER, GROUP, INTERVAL_SECONDS = "Platform", "GlobalMart", 60
_EXPRESSION = DataSourceRef(type_val="__expr__", uid="__expr__")


@dataclass(frozen=True)
class Watch:
    """A rule: it fires once `sql`, one row with one number over the last `minutes`, has been above or below `limit` `for_minutes` long.

    `shown_by` are the dashboard and the title of the panel with the figure. `summary` is what a notice says; no `$` in it, which
    Grafana would take for a variable of its environment.
    """

    uid: str
    title: str
    summary: str
    sql: str
    is_above: bool
    limit: float
    minutes: int
    for_minutes: int
    severity: Literal["warning", "critical"]
    shown_by: tuple[str, str]


WATCHES = (
    Watch(
        "globalmart-no-records",
        "No records come in",
        "Kafka's newest record that the mirror shows is older than 10 minutes: no traffic, or the stream or the mirror stands still.",
        "SELECT extract(epoch FROM now() - max(second))::float8 AS age_seconds FROM ingestion_rates",
        True,
        600,
        10,
        2,
        "critical",
        (INGESTION, "Newest record"),
    ),
    Watch(
        "globalmart-no-orders",
        "Visitors, but no orders",
        "Product views have come in for 30 minutes, and no transaction with them: the checkout may be broken.",
        f"""
        SELECT (coalesce(sum(accepted_count) FILTER (WHERE topic = 'transactions'), 0) = 0
            AND coalesce(sum(accepted_count) FILTER (WHERE topic = 'product_views'), 0) > 0)::int AS is_silent
        FROM ingestion_rates WHERE {within("second")}""",  # noqa: S608
        True,
        0,
        30,
        5,
        "critical",
        (SALES, "Orders by payment method"),
    ),
    Watch(
        "globalmart-quarantine",
        "Many records are quarantined",
        "More than 5% of the records of the last 15 minutes broke their contract: a producer may have changed.",
        f"""
        SELECT coalesce(sum(quarantined_count)::float8 / nullif(sum(record_count), 0), 0) AS share
        FROM ingestion_rates WHERE {within("second")}""",  # noqa: S608
        True,
        0.05,
        15,
        5,
        "warning",
        (INGESTION, "Quarantined"),
    ),
    Watch(
        "globalmart-anomalies",
        "A burst of anomalies",
        "More than 100 events of the last 15 minutes look wrong to a detector, and were not found right since.",
        f"""
        SELECT count(*)::float8 AS findings FROM (
            SELECT anomaly_id FROM anomalies WHERE {within("event_at")}
            GROUP BY anomaly_id HAVING NOT bool_or(verdict = 'retracted')
        ) AS kept""",  # noqa: S608
        True,
        100,
        15,
        0,
        "warning",
        (SALES, "Anomalies by detector"),
    ),
    Watch(
        "globalmart-stock",
        "Many products are out of stock",
        "More than 5% of all products have nothing left.",
        """
        SELECT coalesce(count(*) FILTER (WHERE status = 'out')::float8 / nullif(count(*), 0), 0) AS share
        FROM inventory_levels""",
        True,
        0.05,
        10,
        10,
        "warning",
        (PRODUCTS, "Stock"),
    ),
    Watch(
        "globalmart-marts",
        "Daily marts are overdue",
        "Customer scores are of a day that ended more than 36 hours ago: the daily run has failed or waits.",
        """
        SELECT extract(epoch FROM now() - (max(as_of_date) + 1)::timestamp AT TIME ZONE 'UTC')::float8 / 3600 AS age_hours
        FROM customer_rfm""",
        True,
        36,
        10,
        30,
        "warning",
        (CUSTOMERS, "Customers"),
    ),
)


def rule(watch: Watch, panel_id: int) -> Rule:
    """The rule as Grafana's API has it: query A, and threshold B upon it; with the panel that shows the figure."""
    of = RelativeTimeRange(from_val=watch.minutes * 60, to=0)
    evaluator = expr.ExprTypeThresholdConditionsEvaluator().params([watch.limit]).type("gt" if watch.is_above else "lt")
    threshold = (
        expr.TypeThreshold()
        .ref_id("B")
        .datasource(_EXPRESSION)
        .expression("A")
        .conditions([expr.ExprTypeThresholdConditions().evaluator(evaluator)])
    )
    return (
        alerting.Rule(watch.title)
        .uid(watch.uid)
        .org_id(1)
        .folder_uid(FOLDER)
        .rule_group(GROUP)
        .condition("B")
        .with_query(alerting.Query("A").datasource_uid(UID).relative_time_range(of).model(Sql(watch.sql)))
        .with_query(alerting.Query("B").datasource_uid("__expr__").relative_time_range(of).model(threshold))
        .for_val(f"{watch.for_minutes}m")
        .no_data_state("NoData")
        .exec_err_state("Error")
        .annotations({"summary": watch.summary, "__dashboardUid__": watch.shown_by[0], "__panelId__": str(panel_id)})
        .labels({"severity": watch.severity, "service": "globalmart"})
        .build()
    )


def provisioned(panel_ids: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """The content of the provisioning file. `panel_ids` has the id of each panel by its dashboard's uid and its title."""
    rules = []
    for watch in WATCHES:
        panel_id = panel_ids[watch.shown_by]
        content = dict(rule(watch, panel_id).to_json())
        for name in ("folderUID", "ruleGroup", "orgID"):  # the file has them once, for the whole group
            del content[name]
        rules.append(content | {"dashboardUid": watch.shown_by[0], "panelId": panel_id})
    group = {"orgId": 1, "name": GROUP, "folder": FOLDER, "interval": f"{INTERVAL_SECONDS}s"}
    return {"apiVersion": 1, "groups": [group | {"rules": rules}]}
