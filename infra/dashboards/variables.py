"""Dashboard variables: country, category, interval, topic. "All" stands for the column itself, so that it leaves no row out."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from infra.dashboards.source import SOURCE
from lakehouse.contracts import CONTRACTS
from lakehouse.countries import COUNTRIES

INTERVALS = ("1m", "5m", "15m", "1h", "6h", "1d")
_ALL = VariableOption(selected=True, text="All", value="$__all")
# The names of the catalogue by way of the index (category, revenue_rank): one look-up for each, however many products there are.
CATEGORIES = """
    WITH RECURSIVE found AS (
        (SELECT category FROM product_performance ORDER BY category LIMIT 1)
        UNION ALL
        SELECT (SELECT p.category FROM product_performance p WHERE p.category > f.category ORDER BY p.category LIMIT 1)
        FROM found f WHERE f.category IS NOT NULL
    )
    SELECT category FROM found WHERE category IS NOT NULL"""


def country() -> dashboard.CustomVariable:
    return _choice("country", "Country", "Country of the visit, never the customer's profile.", tuple(COUNTRIES))


def topic() -> dashboard.CustomVariable:
    return _choice("topic", "Topic", "Kafka topic that the records came by.", tuple(CONTRACTS))


def category() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("category")
        .label("Category")
        .description("Category of the product, as it was when it was sold.")
        .datasource(SOURCE)
        .query(" ".join(CATEGORIES.split()))
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.DISABLED)
        .multi(True)
        .include_all(True)
        .all_value("category")
        .current(_ALL)
    )


def interval(default: str) -> dashboard.CustomVariable:
    """The length of a step in charts over time, UTC. `default` is one of INTERVALS."""
    options = [VariableOption(selected=one == default, text=one, value=one) for one in INTERVALS]
    return (
        dashboard.CustomVariable("interval")
        .label("Step")
        .description("Length of a step in charts over time (UTC).")
        .values(",".join(INTERVALS))
        .options(options)
        .current(VariableOption(selected=True, text=default, value=default))
    )


def _choice(name: str, label: str, description: str, values: tuple[str, ...]) -> dashboard.CustomVariable:
    options = [VariableOption(selected=False, text=one, value=one) for one in values]
    return (
        dashboard.CustomVariable(name)
        .label(label)
        .description(description)
        .values(",".join(values))
        .options([_ALL, *options])
        .multi(True)
        .include_all(True)
        .all_value(name)
        .current(_ALL)
    )
