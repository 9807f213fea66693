"""Live figures, rates, books, quarantine, quality, lineage, and one product and customer: whole answers against literal rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import CommitProperties
from fastapi.testclient import TestClient

from lakehouse import tables as t
from lakehouse.settings import Settings

from .conftest import Lake
from .gold import QUALITY, at, ledger, row
from .test_sales import exact


def test_live_is_one_moment_of_everything(api: TestClient) -> None:
    body = exact(api.get("/v1/live").text)
    assert body.pop("sequence") >= 1
    assert body.pop("known_at")
    assert body == {
        "at": "2026-03-14T10:01:00Z",
        "records_per_second": "0.32",
        "quarantined_share": str(2 / 19),
        "revenue_last_hour": "225.09",
        "order_count_last_hour": 5,
        "unit_count_last_hour": 8,
        "open_session_count": 0,
        "conversion_rate_last_hour": "0.0",
        "open_cart_count": 0,
        "abandoned_cart_count": 1,
        "anomaly_count_last_hour": 3,
        "low_stock_count": 1,
        "out_of_stock_count": 1,
    }


def test_live_of_a_key_for_one_country_is_that_country(as_key: Callable[..., TestClient]) -> None:
    body = exact(as_key(countries=frozenset({"DE"})).get("/v1/live").text)
    shown = (
        "revenue_last_hour",
        "order_count_last_hour",
        "abandoned_cart_count",
        "anomaly_count_last_hour",
        "records_per_second",
    )
    assert [body[name] for name in shown] == ["8.00", 1, 0, 1, None]


def test_live_of_an_empty_lake_has_no_figures(client: TestClient, refresher: Any) -> None:
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    body = client.get("/v1/live").json()
    assert set(body) - {"sequence"} == {name for name, value in body.items() if value is None}


def test_rates_by_topic_second_and_reason(api: TestClient) -> None:
    rows = api.get("/v1/ingestion-rates?interval=second&topic=transactions&group_by=reasons").json()["data"]
    assert rows == [
        {
            "period_start_at": "2026-03-14T10:00:01Z", "topic": None, "reasons": reasons, "record_count": records,
            "accepted_count": accepted, "quarantined_count": bad, "duplicate_count": twice, "late_count": late,
        }
        for reasons, records, accepted, bad, twice, late in (("", 8, 7, 0, 1, 1), ("price_scale", 2, 0, 2, 0, 0))
    ]  # fmt: skip


def test_the_books_say_where_every_record_went_and_that_money_agrees(api: TestClient) -> None:
    body = exact(api.get("/v1/books").text)
    assert body.pop("known_at")
    assert body == {
        "is_balanced": True,
        "batch_id": 2,
        "cut_at": "2026-03-14T11:00:02Z",
        "records": {
            "batch_count": 2, "record_count": 30, "accepted_count": 26, "quarantined_count": 3, "duplicate_count": 1,
            "is_balanced": True,
        },
        "money": {"orders_by_minute": "225.09", "sales_by_minute": "225.09", "is_balanced": True},
        "in_flight": {"transactions": 3},
        "partitions": [{"topic": "transactions", "partition": 0, "next_offset": 30}],
        "table_version": 0,
    }  # fmt: skip


def test_books_that_do_not_balance_say_so(filled: TestClient, lake: Lake, refresher: Any) -> None:
    lost = ledger(3, 31, 5, 0, 0)
    place = [column.name for column in t.LEDGER_STREAMING.columns].index("accepted_count")
    lake.write(t.LEDGER_STREAMING, [(*lost[:place], 4, *lost[place + 1 :])])
    lake.write(t.ORDERS_BY_MINUTE, [(at(9), "US", "paypal", 1, Decimal("0.01"), 9, at(11))])
    refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    body = filled.get("/v1/books").json()
    assert (body["is_balanced"], body["records"]["is_balanced"]) == (False, False)
    # The ledger's cut is at the versions before: what lies above it is not compared.
    assert body["money"]["is_balanced"] is True


def test_the_quarantine_is_summed_by_reason(api: TestClient) -> None:
    rows = api.get("/v1/quarantine").json()["data"]
    assert [(one["topic"], one["reason"], one["record_count"], one["last_offset"]) for one in rows] == [
        ("transactions", "price_scale", 2, 2), ("transactions", "unknown_country", 1, 2), ("users", "email_missing", 1, 3),
    ]  # fmt: skip
    assert [one["reason"] for one in api.get("/v1/quarantine?topic=users").json()["data"]] == ["email_missing"]


def test_quality_results_are_those_of_the_runs(api: TestClient) -> None:
    rows = api.get("/v1/quality").json()["data"]
    assert [(r["run_id"], r["table"], r["day"], r["passed"], r["expectation_count"], r["page"]) for r in rows] == [
        ("run-1", "gold/fact_sales", "2026-03-14", True, 12, "/quality/runs/run-1/gold.fact_sales.html")
    ]
    assert api.get("/v1/quality?passed=false").json()["data"] == []
    assert api.get("/v1/quality?table=gold/sales_trends").json()["data"] == []
    whole = api.get("/v1/quality").json()
    assert (whole["table_version"], whole["known_at"]) == (1773537000, "2026-03-15T01:10:00Z")


def test_quality_results_come_page_by_page_and_new_ones_do_not_move_them(
    filled: TestClient, settings: Settings
) -> None:
    def judge(run: str, hour: int) -> None:
        folder = settings.quality_dir / "runs" / run
        folder.mkdir(parents=True)
        lines = [
            json.dumps({**QUALITY, "table": table, "at": f"2026-03-16T{hour:02}:00:00+00:00"})
            for table in ("gold/fact_sales", "gold/dim_user")
        ]
        (folder / "results.jsonl").write_text("\n".join(lines) + "\n")

    judge("run-2", 2)
    first = filled.get("/v1/quality?limit=2")
    body = first.json()
    judge("run-3", 3)
    assert filled.get("/v1/quality?limit=2").headers["etag"] != first.headers["etag"]
    rest = filled.get(f"/v1/quality?limit=2&cursor={body['next_cursor']}").json()
    assert [(one["run_id"], one["table"]) for one in body["data"] + rest["data"]] == [
        ("run-2", "gold/fact_sales"), ("run-2", "gold/dim_user"), ("run-1", "gold/fact_sales"),
    ]  # fmt: skip
    assert rest["next_cursor"] is None
    assert rest["table_version"] == body["table_version"]
    assert filled.get("/v1/quality?limit=2&cursor=made-up").status_code == 400
    assert filled.get(f"/v1/quality?passed=true&cursor={body['next_cursor']}").status_code == 400


def test_one_product_with_its_figures(api: TestClient) -> None:
    body = exact(api.get("/v1/products/p1").text)
    assert (body["name"], body["price"]) == ("House Beans", "12.30")
    assert (body["performance"]["revenue"], body["performance"]["revenue_rank"]) == ("20.30", 1)
    assert body["stock"] == {
        "level": 3, "status": "low", "days_of_cover": "0.5", "updated_at": "2026-03-14T09:00:00Z",
    }  # fmt: skip
    assert api.get("/v1/products/p9").status_code == 404


def test_a_key_for_one_country_sees_the_product_without_what_is_of_all_countries(
    as_key: Callable[..., TestClient],
) -> None:
    client = as_key(countries=frozenset({"DE"}))
    body = client.get("/v1/products/p1").json()
    assert (body["name"], body["performance"], body["stock"]) == ("House Beans", None, None)
    assert client.get("/v1/inventory").status_code == 403


def test_one_customer_with_and_without_the_grant(api: TestClient, as_key: Callable[..., TestClient]) -> None:
    body = exact(api.get("/v1/customers/u1").text)
    assert (body["email"], body["age"], body["rfm"]["monetary"], body["value"]["predicted_value"]) == (
        "ada@example.com", 36, "700.50", "31.50",
    )  # fmt: skip
    assert body["recent_orders"] == [
        {
            "transaction_id": "t1",
            "timestamp": "2026-03-14T09:05:00Z",
            "country": "US",
            "line_count": 2,
            "total_amount": "12.30",
        }
    ]
    by_id = ("/v1/customers?sort=user_id", "/v1/customer-values?sort=-user_id")
    assert [api.get(path).status_code for path in by_id] == [200, 200]
    masked = as_key()
    pseudonym = masked.get("/v1/customer-values?limit=3").json()["data"][1]["user_id"]
    hidden = masked.get(f"/v1/customers/{pseudonym}").json()
    assert (hidden["user_id"], hidden["email"], hidden["age"], hidden["preferences"]) == (pseudonym, "***", None, None)
    assert masked.get("/v1/customers/u1").status_code == 403
    for path in by_id:  # the order would tell the ids
        told = masked.get(path)
        assert (told.status_code, "sorted by user_id would tell ids" in told.json()["detail"]) == (403, True)
    spent = [Decimal(one["monetary"]) for one in masked.get("/v1/customers").json()["data"]]
    assert spent == sorted(spent, reverse=True)


def test_lineage_leads_from_a_mart_through_the_commit_notes_to_kafka(
    filled: TestClient, lake: Lake, refresher: Any
) -> None:
    def made_from(**sources: int) -> CommitProperties:
        note = {
            "days": ["2026-03-14"],
            "sources": {name.replace("__", "/"): version for name, version in sources.items()},
        }
        return CommitProperties(custom_metadata={"userMetadata": json.dumps(note)})

    facts = [row(t.FACT_SALES, transaction_id="t2", line_number=1)]
    lake.write(t.FACT_SALES, facts, commit_properties=made_from(silver__transaction_items=5, gold__dim_product=0))
    trend = [row(t.SALES_TRENDS, as_of_date=at(0).date(), period_type="day")]
    where = "as_of_date = '2026-03-14'"
    lake.write(
        t.SALES_TRENDS, trend, mode="overwrite", predicate=where, commit_properties=made_from(gold__fact_sales=1)
    )
    entry = ledger(3, 40, 9, 0, 0)
    place = [column.name for column in t.LEDGER_STREAMING.columns].index("table_versions")
    versions = [("bronze/events", 8), ("silver/transaction_items", 6)]
    lake.write(t.LEDGER_STREAMING, [(*entry[:place], versions, *entry[place + 1 :])])
    refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    body = filled.get("/v1/lineage/sales_trends?as_of_date=2026-03-14").json()
    assert [(s["table"], s["version"], s["read_by"]) for s in body["sources"]] == [
        ("gold/fact_sales", 1, "gold/sales_trends"),
        ("gold/dim_product", 0, "gold/fact_sales"),
        ("silver/transaction_items", 5, "gold/fact_sales"),
        ("bronze/events", 8, "silver/transaction_items"),
    ]
    assert body["cut"] == {
        "batch_id": 3, "committed_at": "2026-03-14T11:00:03Z",
        "offsets": [{"topic": "transactions", "partition": 0, "until_offset": 40}],
    }  # fmt: skip
    figure = filled.get("/v1/lineage/revenue").json()
    assert (figure["figure"], figure["table"]) == ("revenue", "gold/sales_by_minute")
    assert figure == filled.get("/v1/lineage/sales_by_minute").json() | {"figure": "revenue"}
    assert filled.get("/v1/lineage/sales_trends?as_of_date=2020-01-01").status_code == 404
    assert filled.get("/v1/lineage/secrets").status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/alerts", None),
        ("GET", "/v1/alerts/3f9a2c41", None),
        ("POST", "/v1/alerts/3f9a2c41/acknowledge", {}),
        ("POST", "/v1/alerts/3f9a2c41/resolve", {"note": "over"}),
        ("POST", "/v1/alerts/3f9a2c41/snooze", {"until": "2099-01-01T00:00:00Z"}),
    ],
)
def test_alerts_without_postgresql_are_away_and_say_so(api: TestClient, method: str, path: str, body: Any) -> None:
    response = api.request(method, path, json=body)
    assert response.status_code == 503, response.text
    assert response.json()["type"] == "urn:globalmart:problem:desk-away"


def test_only_operators_change_alerts_and_bodies_are_checked(
    api: TestClient, as_key: Callable[..., TestClient]
) -> None:
    path = "/v1/alerts/3f9a2c41"
    assert api.post(f"{path}/resolve", json={}).status_code == 422
    assert api.post(f"{path}/snooze", json={"until": "tomorrow"}).status_code == 422
    assert api.post(f"{path}/acknowledge", json={"by": "somebody else"}).status_code == 422
    assert as_key().post(f"{path}/acknowledge", json={}).status_code == 403


def test_results_that_are_missing_are_an_empty_list(client: TestClient, refresher: Any, tmp_path: Path) -> None:
    refresher.refresh()
    assert not (tmp_path / "state/quality").exists()
    body = client.get("/v1/quality").json()
    assert body.pop("known_at")
    assert body == {"data": [], "next_cursor": None, "table_version": 0}
