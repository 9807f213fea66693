"""Each alert rule's query on the real mirror: quiet on a healthy shop, and firing on the data that it is there for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dashboard_rows as shop
import orjson
import psycopg
import pytest
from grafana_sql import Period, expand
from mirror_rows import append, empty, row

from api.mirror.follow import Mirror
from api.mirror.plan import mirrored
from infra.credentials import dashboards_file, read_pairs
from infra.dashboards.build import files
from lakehouse import tables as t
from lakehouse.settings import Settings

pytestmark = pytest.mark.integration

(GROUP,) = orjson.loads(files(Settings(_env_file=None))["provisioning/alerting/globalmart.yaml"])["groups"]
RULES = {rule["uid"].removeprefix("globalmart-"): rule for rule in GROUP["rules"]}


@pytest.fixture
def settings(stack: Any, tmp_path: Path) -> Iterator[Settings]:
    stack("postgres")
    made: Settings = stack.settings("serving").model_copy(update={"lake_uri": (tmp_path / "lake").as_uri()})
    empty(made)
    yield made
    empty(made)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def load(settings: Settings, **changed: list[dict[str, Any]]) -> None:
    """A shop that does well at this moment, but for the tables named."""
    start, yesterday = now() - timedelta(minutes=20), now().date() - timedelta(days=1)
    healthy: dict[str, Iterable[dict[str, Any]]] = {
        "ingestion_rates": list(rates(start)),
        "anomalies": findings(5),
        "inventory_levels": stock(out=1, of=100),
        "customer_rfm": [customer(yesterday)],
    }
    for name, rows in (healthy | changed).items():
        append(settings, t.BY_PATH[f"gold/{name}"], rows)
    mirror = Mirror(settings, [one for one in mirrored(settings) if one.table.name in healthy])
    mirror.refresh()
    assert mirror.problems == {}


def rates(start: datetime, quarantined: int = 0, topics: tuple[str, ...] = ("transactions", "product_views")) -> Any:
    for second in range(0, 1200, 10):
        for topic in topics:
            at = {
                "second": start + timedelta(seconds=second),
                "topic": topic,
                "reasons": "",
                "batch_id": 1,
                "known_at": start,
            }
            counts = {"record_count": 20, "accepted_count": 20 - quarantined, "quarantined_count": quarantined}
            yield at | counts | {"duplicate_count": 0, "late_count": 0}


def findings(count: int, verdict: str = "raised") -> list[dict[str, Any]]:
    at = now() - timedelta(minutes=5)
    known = {"event_at": at, "verdict": verdict}
    return [row(t.ANOMALIES, n, at.date()) | known | {"anomaly_id": f"a{n}"} for n in range(count)]


def stock(out: int, of: int) -> list[dict[str, Any]]:
    state = [row(t.INVENTORY_LEVELS, n, shop.DAY) | {"product_id": f"P{n}"} for n in range(of)]
    return [one | {"status": "out" if n < out else "ok"} for n, one in enumerate(state)]


def customer(day: date) -> dict[str, Any]:
    return row(t.CUSTOMER_RFM, 1, day)


def fires(settings: Settings) -> dict[str, bool]:
    """Per rule, what Grafana would find now: query A over its time, by the role that it has, then threshold B."""
    url = read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"]
    found: dict[str, bool] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for name, rule in RULES.items():
            query, threshold = rule["data"]
            end, since = now() + timedelta(seconds=1), query["relativeTimeRange"]["from"]
            sql = expand(query["model"]["rawSql"], Period(end - timedelta(seconds=since), end), [], {})
            ((value,),) = connection.execute(sql.encode()).fetchall()
            (condition,) = threshold["model"]["conditions"]
            assert (threshold["refId"], threshold["model"]["expression"]) == (rule["condition"], query["refId"])
            above = condition["evaluator"]["type"] == "gt"
            limit = condition["evaluator"]["params"][0]
            found[name] = value > limit if above else value < limit
    return found


def firing(settings: Settings) -> set[str]:
    return {name for name, is_firing in fires(settings).items() if is_firing}


def test_a_healthy_shop_wakes_nobody(settings: Settings) -> None:
    load(settings)
    assert firing(settings) == set()
    assert len(RULES) == 6


def broken() -> dict[str, dict[str, Any]]:
    start = now() - timedelta(minutes=20)
    old = {name: list(rates(now() - timedelta(hours=1))) for name in ("ingestion_rates",)}
    return {
        "no-records": old,
        "no-orders": {"ingestion_rates": list(rates(start, topics=("product_views",)))},
        "quarantine": {"ingestion_rates": list(rates(start, quarantined=2))},
        "anomalies": {"anomalies": findings(101)},
        "stock": {"inventory_levels": stock(out=6, of=100)},
        "marts": {"customer_rfm": [customer(now().date() - timedelta(days=4))]},
    }


@pytest.mark.parametrize("name", sorted(RULES))
def test_each_rule_fires_on_what_it_is_there_for_and_no_other_does(settings: Settings, name: str) -> None:
    load(settings, **broken()[name])
    assert firing(settings) == {name}


def test_findings_that_were_retracted_and_a_share_at_the_limit_wake_nobody(settings: Settings) -> None:
    load(settings, anomalies=[*findings(101), *findings(50, "retracted")], inventory_levels=stock(out=5, of=100))
    assert firing(settings) == set()


def test_a_platform_without_any_rows_has_no_orders_to_miss(settings: Settings) -> None:
    load(settings, ingestion_rates=[], anomalies=[], inventory_levels=[], customer_rfm=[])
    values = fires_or_nothing(settings)
    assert values == {"no-records": None, "no-orders": 0, "quarantine": 0, "anomalies": 0, "stock": 0, "marts": None}


def fires_or_nothing(settings: Settings) -> dict[str, Any]:
    """The value of each rule's query; None is what Grafana calls no data."""
    url = read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        return {
            name: connection.execute(
                expand(
                    rule["data"][0]["model"]["rawSql"], Period(now() - timedelta(minutes=15), now()), [], {}
                ).encode()
            ).fetchall()[0][0]
            for name, rule in RULES.items()
        }
