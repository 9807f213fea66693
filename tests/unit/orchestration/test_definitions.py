"""Dagster's definitions load, hold every table once, and say who owns it, what it is made from and what its columns mean."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.tables import BY_PATH, COHORT_RETENTION, CUSTOMER_LIFETIME_VALUE, CUSTOMER_RFM, TABLES
from orchestration.definitions import defs
from orchestration.naming import DAILY_FRESHNESS, MIRROR_KEY, STREAM_FRESHNESS, key
from orchestration.partitions import DAILY
from orchestration.runs import IN_FULL_TAG
from orchestration.transient import POLICY

CHECKOUT = Path(__file__).parents[3]
BY_INCREMENT = (CUSTOMER_RFM, COHORT_RETENTION, CUSTOMER_LIFETIME_VALUE)


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


def specs(loaded: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in loaded.resolve_all_asset_specs()}


def test_the_asset_keys_are_these(loaded: dg.Definitions) -> None:
    assert sorted(specs(loaded)) == [
        "bronze/events",
        "gold/alerts",
        "gold/anomalies",
        "gold/basket_pairs",
        "gold/carts",
        "gold/cohort_retention",
        "gold/customer_lifetime_value",
        "gold/customer_rfm",
        "gold/dim_country",
        "gold/dim_date",
        "gold/dim_payment_method",
        "gold/dim_product",
        "gold/dim_user",
        "gold/fact_inventory_daily",
        "gold/fact_sales",
        "gold/fact_sessions",
        "gold/finality",
        "gold/funnel_daily",
        "gold/ingestion_rates",
        "gold/inventory_levels",
        "gold/orders_by_minute",
        "gold/product_performance",
        "gold/rfm_movements",
        "gold/sales_by_minute",
        "gold/sales_trends",
        "gold/sessions",
        "kafka/cart_events",
        "kafka/inventory_events",
        "kafka/product_views",
        "kafka/products",
        "kafka/transactions",
        "kafka/users",
        "ops/detector_scorecard",
        "ops/ledger_streaming",
        "ops/table_sizes",
        "postgres/mirror",
        "silver/cart_events",
        "silver/duplicates",
        "silver/inventory_events",
        "silver/product_views",
        "silver/products",
        "silver/quarantine",
        "silver/transaction_items",
        "silver/transactions",
        "silver/users",
    ]


def test_dagster_makes_what_batch_owns_and_only_shows_what_the_stream_owns(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    assert {k.to_user_string() for k in graph.materializable_asset_keys - {MIRROR_KEY}} == {
        t.path for t in TABLES if t.owner == "batch"
    }
    assert {k.to_user_string() for k in graph.external_asset_keys if k.path[0] != "kafka"} == {
        t.path for t in TABLES if t.owner == "streaming"
    }


@pytest.mark.parametrize("path", sorted(BY_PATH))
def test_each_table_has_its_layer_as_group_an_owner_and_all_columns_with_their_meaning(
    loaded: dg.Definitions, path: str
) -> None:
    spec, table = specs(loaded)[path], BY_PATH[path]
    assert spec.group_name == table.layer
    assert spec.owners == [f"team:{table.owner}"]
    assert table.grain in str(spec.description)
    columns = spec.metadata["dagster/column_schema"].columns
    assert [(c.name, c.description) for c in columns] == [(c.name, c.meaning) for c in table.columns]


@pytest.mark.parametrize(
    ("path", "made_from"),
    [
        ("bronze/events", [f"kafka/{t}" for t in ("cart_events", "inventory_events", "product_views", "products")]),
        ("silver/transactions", ["bronze/events"]),
        ("silver/transaction_items", ["silver/products", "silver/transactions"]),
        ("gold/sales_by_minute", ["silver/transaction_items"]),
        ("gold/orders_by_minute", ["silver/transactions"]),
        ("gold/customer_rfm", ["silver/transactions"]),
        ("gold/dim_user", ["silver/users", "silver/transaction_items", "gold/sessions"]),
        ("gold/fact_sales", ["silver/transaction_items", "gold/dim_user", "gold/dim_product", "gold/dim_date"]),
        ("gold/fact_inventory_daily", ["silver/inventory_events", "silver/products", "gold/dim_product"]),
        ("gold/rfm_movements", ["gold/customer_rfm"]),
        ("gold/funnel_daily", ["gold/sessions", "silver/product_views", "silver/transaction_items"]),
    ],
)
def test_the_graph_runs_from_kafka_over_bronze_and_silver_to_gold(
    loaded: dg.Definitions, path: str, made_from: list[str]
) -> None:
    found = {dep.asset_key.to_user_string() for dep in specs(loaded)[path].deps}
    assert found >= set(made_from)


def test_the_checks_are_these_and_expectations_block_what_depends_on_them(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    checks = {(k.asset_key.to_user_string(), k.name): graph.get_check_spec(k).blocking for k in graph.asset_check_keys}
    judged = {t.path for t in TABLES if t.layer == "silver" or (t.owner == "batch" and t.layer == "gold")}
    expectations = {(path, "expectations"): True for path in judged}
    weekly = {(table.path, "full_computation"): False for table in BY_INCREMENT}
    weekly[CUSTOMER_LIFETIME_VALUE.path, "back_test"] = False
    assert checks == expectations | weekly
    daily = loaded.resolve_job_def("daily").asset_layer.asset_graph.asset_check_keys
    assert {(key.asset_key.to_user_string(), key.name) for key in daily} == set(expectations)


def test_what_is_made_by_increment_the_lifetime_model_and_all_of_silver_are_judged_weekly_and_not_with_each_day(
    loaded: dg.Definitions,
) -> None:
    in_full = {dg.AssetCheckKey(key(table), "full_computation") for table in BY_INCREMENT}
    back_test = dg.AssetCheckKey(key(CUSTOMER_LIFETIME_VALUE), "back_test")
    silver = {dg.AssetCheckKey(key(table), "expectations") for table in TABLES if table.layer == "silver"}
    weekly = loaded.resolve_job_def("in_full")
    assert weekly.asset_layer.asset_graph.asset_check_keys == {*in_full, back_test, *silver}
    assert weekly.run_tags[IN_FULL_TAG] == "true"
    assert not {*in_full, back_test} & set(loaded.resolve_job_def("daily").asset_layer.asset_graph.asset_check_keys)
    schedule = loaded.resolve_schedule_def("every_week")
    assert (schedule.job_name, schedule.cron_schedule) == ("in_full", "0 4 * * 0")


def test_the_mirror_is_made_anew_from_all_of_gold_and_only_when_it_is_asked_for(loaded: dg.Definitions) -> None:
    made_from = {dep.asset_key.to_user_string() for dep in specs(loaded)["postgres/mirror"].deps}
    assert made_from == {table.path for table in TABLES if table.layer == "gold"}
    assert loaded.resolve_job_def("mirror_rebuild").asset_layer.executable_asset_keys == {MIRROR_KEY}
    assert MIRROR_KEY not in loaded.resolve_job_def("daily").asset_layer.executable_asset_keys


def test_tables_of_days_have_daily_partitions_and_dimensions_have_none(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    partitioned = {k.to_user_string() for k in graph.materializable_asset_keys if graph.get(k).partitions_def}
    assert partitioned == {t.path for t in TABLES if t.owner == "batch" and t.layer == "gold" and t.partition_by}
    assert all(graph.get(key(BY_PATH[path])).partitions_def == DAILY for path in partitioned)


def test_today_can_be_materialised_and_tomorrow_cannot() -> None:
    midnight = datetime(2026, 3, 14, 0, 0, 1, tzinfo=UTC)
    with dg.partition_loading_context(effective_dt=midnight):
        assert DAILY.get_last_partition_key() == "2026-03-14"


def test_the_jobs_sensors_and_schedules_are_these(loaded: dg.Definitions) -> None:
    assert "daily" in {job.name for job in loaded.resolve_all_job_defs()}
    repository = loaded.get_repository_def()
    assert sorted(sensor.name for sensor in repository.sensor_defs) == ["day_is_over", "run_alerts", "stream_tables"]
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs)
    assert "every_day" not in {schedule.name for schedule in repository.schedule_defs}


def test_each_made_table_is_tried_again_and_backfilled_day_by_day(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    for made in graph.materializable_asset_keys:
        asset = graph.get(made).assets_def
        assert asset.op.retry_policy == POLICY, made
        if asset.partitions_def is not None:
            assert asset.backfill_policy == dg.BackfillPolicy.multi_run(1), made


def test_all_but_kafka_and_what_is_made_on_demand_has_a_freshness_policy(loaded: dg.Definitions) -> None:
    policies = {path: spec.freshness_policy for path, spec in specs(loaded).items()}
    expected = {t.path: STREAM_FRESHNESS if t.owner == "streaming" else DAILY_FRESHNESS for t in TABLES}
    without = {path for path in policies if path.startswith(("kafka/", "postgres/"))} | {
        t.path for t in TABLES if t.owner == "batch" and t.layer == "ops"
    }
    assert policies == {**expected, **dict.fromkeys(without)}


def test_every_rule_and_asset_shares_one_process(loaded: dg.Definitions) -> None:
    assert loaded.resolve_job_def("daily").executor_def.name == "in_process"
    assert loaded.resolve_implicit_global_asset_job_def().executor_def.name == "in_process"


def test_loading_does_not_import_great_expectations() -> None:
    code = (
        "import sys; from orchestration.definitions import defs; defs(); assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT)


def test_dg_finds_nothing_wrong() -> None:
    dg_command = Path(sys.executable).parent / "dg"
    done = subprocess.run([dg_command, "check", "defs"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_keys_are_paths_in_the_lake() -> None:
    assert [key(table).to_user_string() for table in TABLES] == [table.path for table in TABLES]
