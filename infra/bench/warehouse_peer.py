"""The peer of the warehouse benchmark: Polars computes the customers of a day in full and writes them, without any of the platform.

A program of its own, so that its memory is its own: `python -m infra.bench.warehouse_peer LAKE OUT DAY` prints one JSON object:
seconds of computing and publishing, peak memory in GiB, and how many rows differ from those of the lake, where it has that day.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import date
from pathlib import Path

from lakehouse.tables import CUSTOMER_RFM, TRANSACTIONS
from lakehouse.transforms.rfm import SCORES, SEGMENTS, window

try:
    import polars as pl
except ModuleNotFoundError:
    sys.exit("Polars is not installed: it comes with the developers' packages, run `make setup`.")


def main(lake: Path, out: Path, day: date) -> None:
    started = time.monotonic()
    rows = rfm(pl.scan_delta(str(lake / TRANSACTIONS.path)), day)
    computed = time.monotonic()
    rows.write_delta(str(out), mode="overwrite", delta_write_options={"partition_by": list(CUSTOMER_RFM.partition_by)})
    published = time.monotonic()
    told = {
        "customers": len(rows),
        "computing_seconds": round(computed - started, 2),
        "publishing_seconds": round(published - computed, 2),
        "seconds": round(published - started, 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    ours = lake / CUSTOMER_RFM.path
    if ours.exists():
        kept = pl.scan_delta(str(ours)).filter(pl.col("as_of_date") == day).select(rows.columns).collect()
        told["different_rows"] = len(kept.join(rows, on=rows.columns, how="anti")) + abs(len(kept) - len(rows))
    print(json.dumps(told))


def rfm(orders: pl.LazyFrame, day: date) -> pl.DataFrame:
    """The rows of `gold/customer_rfm`, as one would write them in Polars: group, rank, look up."""
    start, end = window(day)
    names = pl.DataFrame(
        {
            "r_score": [r for r in SEGMENTS for _ in range(SCORES)],
            "value": list(range(1, SCORES + 1)) * SCORES,
            "segment": [name for row in SEGMENTS.values() for name in row],
        },
        schema={"r_score": pl.Int32, "value": pl.Int32, "segment": pl.String},
    )
    customers = (
        orders.filter((pl.col("timestamp") >= start) & (pl.col("timestamp") < end))
        .group_by("user_id")
        .agg(
            (pl.lit(day) - pl.col("timestamp").max().dt.date()).dt.total_days().cast(pl.Int32).alias("recency_days"),
            pl.len().cast(pl.Int64).alias("frequency"),
            pl.col("total_amount").sum().cast(pl.Decimal(18, 2)).alias("monetary"),
        )
        .with_columns(
            _score(pl.col("recency_days").rank("max", descending=True)).alias("r_score"),
            _score(pl.col("frequency").rank("max")).alias("f_score"),
            _score(pl.col("monetary").rank("max")).alias("m_score"),
        )
    )
    return (
        customers.with_columns(value=(pl.col("f_score") + pl.col("m_score") + 1) // 2)
        .join(names.lazy(), on=["r_score", "value"], how="left")
        .with_columns(as_of_date=pl.lit(day))
        .select(CUSTOMER_RFM.schema.names)
        .collect()
    )


def _score(rank: pl.Expr) -> pl.Expr:
    """ceil(5 x rank / number of customers), in whole numbers."""
    return ((rank.cast(pl.Int64) * SCORES + pl.len() - 1) // pl.len()).cast(pl.Int32)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]))
