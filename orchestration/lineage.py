"""Which columns each gold table's columns come from, as Dagster shows it. A declaration: no definitions here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg

from lakehouse.tables import Table


@dataclass(frozen=True)
class Lineage:
    """`same`: paths of tables whose columns of the same name are passed on. `made`: by columns, separated by spaces, the columns that
    they are computed from, as `path.column`. A column that is in `made` is not looked for in `same`.
    """

    same: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)


_TX, _ITEMS, _VIEWS = "silver/transactions", "silver/transaction_items", "silver/product_views"
_CART, _STOCK, _USERS, _PRODUCTS = "silver/cart_events", "silver/inventory_events", "silver/users", "silver/products"
_SESSIONS, _SALES, _RFM = "gold/sessions", "gold/fact_sales", "gold/customer_rfm"
_VISIT = " ".join(f"{path}.session_id {path}.user_id" for path in (_VIEWS, _CART, _TX))
_LEVEL = f"{_ITEMS}.quantity {_STOCK}.change {_PRODUCTS}.inventory"
_MOVED_AT = f"{_ITEMS}.timestamp {_STOCK}.timestamp {_PRODUCTS}.timestamp"


def _versions(member: str, changes: str, seen: str) -> Lineage:
    """A versioned dimension; `seen`: where facts of members without a record are."""
    id_, at = f"{changes}.{member}_id", f"{changes}.timestamp"
    made = {
        f"{member}_key": f"{id_} {at}",
        "valid_from valid_to is_current": at,
        "is_inferred": f"{id_} {seen}",
        "recorded_at": f"{changes}.ingested_at",
    }
    return Lineage((changes,), made)


_LINEAGE: dict[str, Lineage] = {
    "gold/sales_by_minute": Lineage(
        (_ITEMS,),
        {
            "minute": f"{_ITEMS}.timestamp",
            "unit_count": f"{_ITEMS}.quantity",
            "line_count": f"{_ITEMS}.line_number",
            "revenue": f"{_ITEMS}.line_amount",
            "known_at": f"{_ITEMS}.ingested_at",
        },
    ),
    "gold/orders_by_minute": Lineage(
        (_TX,),
        {
            "minute": f"{_TX}.timestamp",
            "order_count": f"{_TX}.transaction_id",
            "revenue": f"{_TX}.total_amount",
            "known_at": f"{_TX}.ingested_at",
        },
    ),
    _SESSIONS: Lineage(
        made={
            "user_id": f"{_VIEWS}.user_id {_CART}.user_id {_TX}.user_id",
            "country": f"{_VIEWS}.country {_CART}.country {_TX}.country",
            "started_date started_at ended_at duration_seconds is_open": f"{_VIEWS}.timestamp {_CART}.timestamp {_TX}.timestamp",
            "view_count": f"{_VIEWS}.event_id",
            "cart_count": f"{_CART}.event_id",
            "order_count is_converted": f"{_TX}.transaction_id",
            "revenue": f"{_TX}.total_amount",
            "product_count product_ids entry_product_id": f"{_VIEWS}.product_id {_CART}.product_id {_TX}.products",
        }
    ),
    "gold/carts": Lineage(
        made={
            "cart_id": f"{_CART}.cart_id {_TX}.cart_id",
            "user_id": f"{_CART}.user_id {_TX}.user_id",
            "country": f"{_CART}.country {_TX}.country",
            "status opened_date opened_at last_activity_at": f"{_CART}.timestamp {_TX}.timestamp",
            "purchased_at": f"{_TX}.timestamp",
            "amount": f"{_CART}.quantity {_CART}.price",
            "unit_count": f"{_CART}.quantity",
            "product_count": f"{_CART}.product_id",
        }
    ),
    "gold/inventory_levels": Lineage(
        made={
            "product_id": f"{_ITEMS}.product_id {_STOCK}.product_id {_PRODUCTS}.product_id",
            "category": f"{_PRODUCTS}.category",
            "level status oversold_count ever_oversold_count alarm": _LEVEL,
            "opening_count": f"{_PRODUCTS}.inventory",
            "changed_count": f"{_STOCK}.change",
            "sold_count sell_rate_per_day": f"{_ITEMS}.quantity",
            "days_of_cover": _LEVEL,
            "updated_at": _MOVED_AT,
        }
    ),
    "gold/dim_user": _versions("user", _USERS, f"{_ITEMS}.user_id {_SESSIONS}.user_id"),
    "gold/dim_product": _versions("product", _PRODUCTS, f"{_ITEMS}.product_id {_STOCK}.product_id"),
    _SALES: Lineage(
        (_ITEMS,),
        {
            "sales_date": f"{_ITEMS}.timestamp",
            "user_key": f"gold/dim_user.user_key {_ITEMS}.user_id {_ITEMS}.timestamp",
            "product_key": f"gold/dim_product.product_key {_ITEMS}.product_id {_ITEMS}.timestamp",
        },
    ),
    "gold/fact_sessions": Lineage(
        (_SESSIONS,), {"user_key": f"gold/dim_user.user_key {_SESSIONS}.user_id {_SESSIONS}.started_at"}
    ),
    "gold/fact_inventory_daily": Lineage(
        made={
            "date": _MOVED_AT,
            "product_id": f"{_ITEMS}.product_id {_STOCK}.product_id {_PRODUCTS}.product_id",
            "product_key": f"gold/dim_product.product_key {_ITEMS}.product_id {_STOCK}.product_id {_PRODUCTS}.product_id",
            "opening_level closing_level is_stock_out": _LEVEL,
            "initial_stock": f"{_PRODUCTS}.inventory",
            "received": f"{_STOCK}.change",
            "sold": f"{_ITEMS}.quantity",
        }
    ),
    _RFM: Lineage(
        (_TX,),
        {
            "recency_days r_score": f"{_TX}.timestamp",
            "frequency f_score": f"{_TX}.transaction_id",
            "monetary m_score": f"{_TX}.total_amount",
            "segment": f"{_TX}.timestamp {_TX}.transaction_id {_TX}.total_amount",
        },
    ),
    "gold/rfm_movements": Lineage(
        made={"days_back from_segment to_segment": f"{_RFM}.as_of_date {_RFM}.segment", "customer_count": f"{_RFM}.user_id"}
    ),
    "gold/product_performance": Lineage(
        made={
            "product_id": f"{_PRODUCTS}.product_id {_SALES}.product_id {_VIEWS}.product_id {_CART}.product_id",
            "category": f"{_PRODUCTS}.category",
            "unit_count": f"{_SALES}.quantity",
            "order_count": f"{_SALES}.transaction_id",
            "revenue revenue_rank previous_revenue_rank rank_movement": f"{_SALES}.line_amount",
            "price_realised": f"{_SALES}.line_amount {_SALES}.quantity",
            "list_revenue": f"{_SALES}.quantity {_SALES}.timestamp {_PRODUCTS}.price {_PRODUCTS}.timestamp",
            "price_realisation": f"{_SALES}.line_amount {_SALES}.quantity {_PRODUCTS}.price",
            "view_session_count": f"{_VIEWS}.session_id {_VIEWS}.user_id",
            "cart_session_count": f"{_CART}.session_id {_CART}.user_id",
            "order_session_count": f"{_TX}.session_id {_TX}.user_id",
            "view_to_cart_rate cart_to_order_rate view_to_order_rate": _VISIT,
            "stock_out_days": "gold/fact_inventory_daily.is_stock_out",
            "lost_units_estimate": f"gold/fact_inventory_daily.is_stock_out {_SALES}.quantity",
            "lost_revenue_estimate": f"gold/fact_inventory_daily.is_stock_out {_SALES}.quantity {_PRODUCTS}.price",
        }
    ),
    "gold/sales_trends": Lineage(
        (_SALES,),
        {
            "period_type period_start period_end is_complete is_forecast": f"{_SALES}.sales_date",
            "unit_count units_average_7_days units_average_28_days": f"{_SALES}.quantity",
            "revenue revenue_average_7_days revenue_average_28_days revenue_growth_week revenue_growth_month revenue_growth_year "
            "seasonal_index revenue_forecast revenue_forecast_low revenue_forecast_high forecast_error naive_error interval_coverage":
                f"{_SALES}.line_amount {_SALES}.sales_date",
        },
    ),
    "gold/cohort_retention": Lineage(
        made={
            "cohort_month month_number is_complete": f"{_SALES}.sales_date {_SALES}.user_id",
            "country": f"{_SALES}.country {_SALES}.timestamp",
            "customer_count active_count retention_rate": f"{_SALES}.user_id {_SALES}.sales_date",
            "revenue cumulative_revenue": f"{_SALES}.line_amount",
        }
    ),
    "gold/customer_lifetime_value": Lineage(
        (_SALES,),
        {
            "frequency recency_days age_days p_alive predicted_purchases": f"{_SALES}.sales_date",
            "monetary": f"{_SALES}.line_amount {_SALES}.sales_date",
            "predicted_order_value predicted_value": f"{_SALES}.line_amount {_SALES}.sales_date",
        },
    ),
    "gold/basket_pairs": Lineage(
        made={
            "product_a_id product_b_id": f"{_SALES}.product_id",
            "order_count a_order_count b_order_count all_order_count support confidence_a_to_b confidence_b_to_a lift":
                f"{_SALES}.transaction_id {_SALES}.product_id",
        }
    ),
    "gold/funnel_daily": Lineage(
        made={
            "date": f"{_SESSIONS}.started_at",
            "country": f"{_SESSIONS}.country",
            "category": f"{_VIEWS}.product_id {_CART}.product_id {_SALES}.product_id {_PRODUCTS}.category",
            "session_count": f"{_SESSIONS}.user_id {_SESSIONS}.started_at",
            "view_session_count": f"{_SESSIONS}.view_count {_VIEWS}.product_id",
            "cart_session_count": f"{_SESSIONS}.cart_count {_CART}.product_id",
            "order_session_count": f"{_SESSIONS}.order_count {_SALES}.product_id",
            "view_to_cart_rate": f"{_SESSIONS}.view_count {_SESSIONS}.cart_count",
            "cart_to_order_rate": f"{_SESSIONS}.cart_count {_SESSIONS}.order_count",
            "conversion_rate": f"{_SESSIONS}.order_count {_SESSIONS}.started_at",
        }
    ),
}  # fmt: skip


def column_sources(table: Table, tables: Mapping[str, Table]) -> dict[str, list[str]]:
    """By column the `path.column`s it comes from; empty for a table without a declaration. `tables` by path: those there are."""
    declared = _LINEAGE.get(table.path, Lineage())
    made = {name: text.split() for names, text in declared.made.items() for name in names.split()}
    found = {}
    for column in table.columns:
        same = [f"{path}.{column.name}" for path in declared.same if _has(tables.get(path), column.name)]
        sources = made.get(column.name, same)
        if sources:
            found[column.name] = sorted(set(sources))
    return found


def column_lineage(table: Table, tables: Mapping[str, Table]) -> dg.TableColumnLineage:
    """`column_sources` as Dagster's metadata has it."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey(path.split("/")), name) for path, name in map(_parts, sources)]
            for column, sources in column_sources(table, tables).items()
        }
    )


def _parts(source: str) -> tuple[str, str]:
    path, _, name = source.rpartition(".")
    return path, name


def _has(table: Table | None, name: str) -> bool:
    return table is not None and any(column.name == name for column in table.columns)
