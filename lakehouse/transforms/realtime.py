"""Records to live events and to findings that need no state, record by record. Pure DataFrame to DataFrame, fit for Real-Time Mode.

Real-Time Mode allows projections, filters, generators and broadcast joins: no aggregation, no sort, no Python. So each line of an order
is joined on its own, and an order is judged whole, in one row.
"""

from __future__ import annotations

from string import Formatter

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.findings import DETECTIONS
from lakehouse.live.anomalies.rules import (
    AMOUNT_OUTLIER,
    AMOUNT_OUTLIER_FACTOR,
    PRICE_MISMATCH,
    PRICE_TOLERANCE_PERCENT,
    QUANTITY_BURST,
    QUANTITY_BURST_UNITS,
    Rule,
)
from lakehouse.transforms.parse import parse

LIVE_EVENTS = "live_events"
LIVE_TOPICS = ("transactions", "product_views", "cart_events", "inventory_events")
MAX_LINES = 8
"""Longer orders are left to the durable path: each line more is a join more."""
LIVE_MINUTES = 60
"""What happened longer before its Kafka time is history or very late: no live event, and a stale alert helps nobody."""

_LINE = "array<struct<product_id: string, quantity: int, price: decimal(18,2)>>"
_EVENT = (
    "event_id", "event_type", "timestamp", "user_id", "session_id", "country", "transaction_id", "cart_id", "action", "reason",
    "device", "payment_method", "total_amount",
)  # fmt: skip


def judge(records: DataFrame, catalogue: DataFrame) -> DataFrame:
    """Messages for Kafka: `topic`, `key`, `value`, all text.

    Takes records with `topic`, `partition`, `offset`, `value`, `kafka_at`, and the catalogue, one row a product: `product_id`, `name`,
    `category`, `price`, `usual_price` (median price of the category), money decimal(18,2). A record gives one message on `live_events` and one on
    `detections` per rule of `lakehouse.live.anomalies.rules` that it breaks, in the form of `Finding.to_json`; none where it is not plainly right.
    A finding's `detected_at` is the record's Kafka time, so that a record judged twice gives the same bytes.
    """
    place = ["topic", "partition", "offset", "kafka_at"]
    joined = parse(records).select(*place, _event().alias("event"))
    for number in range(MAX_LINES):
        listed = F.struct("name", "category", F.col("price").alias("catalogue_price"), "usual_price")
        listing = catalogue.select(F.col("product_id").alias(f"_id{number}"), listed.alias(f"_listed{number}"))
        product_id = F.get(F.col("event")["lines"], number)["product_id"]
        joined = joined.join(F.broadcast(listing), product_id == F.col(f"_id{number}"), "left")
    lines = F.array(*(_line(F.col("event")["lines"], number) for number in range(MAX_LINES)))
    staged = joined.select(*place, "event", F.slice(lines, 1, F.size(F.col("event")["lines"])).alias("lines"))
    # in stages: what is named once is worked out once, and planned once
    staged = staged.withColumns({"mispriced": _mispriced(), "bulk": _bulk(), "usual": _usual()})
    staged = staged.withColumns({"worst_price": _worst_price(), "worst_bulk": _worst_bulk()})
    said = F.array(_live_event(), _price_mismatch(), _quantity_burst(), _amount_outlier())
    return staged.select(F.inline(F.filter(said, lambda message: message.isNotNull())))


def _event() -> Column:
    """A live record in the one form of all topics: what it lacks is null. Null where it is not for this lane."""
    record = F.col("record")
    quantity = F.coalesce(record["quantity"], record["change"]).alias("quantity")
    single = F.struct(record["product_id"], quantity, record["price"])
    lines = F.coalesce(record["products"], F.array(single)).cast(_LINE)
    members = [record[name].alias(name) for name in _EVENT]
    oldest = F.col("kafka_at") - F.expr(f"INTERVAL {LIVE_MINUTES} MINUTES")
    is_live = F.col("topic").isin(*LIVE_TOPICS) & (record["timestamp"] >= oldest) & (F.size(lines) <= MAX_LINES)
    return F.when(is_live, F.struct(*members, lines.alias("lines")))


def _line(lines: Column, number: int) -> Column:
    """Line `number` with what the catalogue knows of its product, null where that is nothing."""
    line, listed = F.get(lines, number), F.col(f"_listed{number}")
    ordered = [line[name].alias(name) for name in ("product_id", "quantity", "price")]
    known = [listed[name].alias(name) for name in ("name", "category", "catalogue_price", "usual_price")]
    return F.struct(F.lit(number + 1).alias("line_number"), *ordered, *known)


def _live_event() -> Column:
    event = F.col("event")
    shown = [event[name].alias(name) for name in _EVENT if name != "timestamp"]
    lines = F.transform(
        "lines",
        lambda line: F.struct(*(line[n].alias(n) for n in ("product_id", "name", "category", "quantity", "price"))),
    )
    times = [_time(event["timestamp"]).alias("timestamp"), _time(F.col("kafka_at")).alias("kafka_at")]
    body = F.to_json(F.struct(*shown, *times, lines.alias("lines")))
    key = F.coalesce(event["user_id"], F.col("lines")[0]["product_id"])
    return F.when(event.isNotNull(), _message(LIVE_EVENTS, key, body))


def _gap(line: Column) -> Column:
    return F.abs(line["price"] - line["catalogue_price"])


def _mispriced() -> Column:
    return F.filter("lines", lambda line: _gap(line) * 100 > line["catalogue_price"] * PRICE_TOLERANCE_PERCENT)


def _bulk() -> Column:
    return F.filter("lines", lambda line: line["quantity"] >= QUANTITY_BURST_UNITS)


def _usual() -> Column:
    wide = "decimal(38,2)"
    return F.aggregate("lines", F.lit(0).cast(wide), lambda sum_, line: (sum_ + line["usual_price"]).cast(wide))


def _worst_price() -> Column:
    def score_of(line: Column) -> Column:
        return _score(_cents(line["catalogue_price"]) * PRICE_TOLERANCE_PERCENT, _cents(_gap(line)) * 100)

    return _worst("mispriced", score_of)


def _worst_bulk() -> Column:
    return _worst("bulk", lambda line: _score(F.lit(QUANTITY_BURST_UNITS), line["quantity"]))


def _price_mismatch() -> Column:
    worst = F.col("worst_price")
    values = {
        "product_id": worst["product_id"],
        "price": worst["price"].cast("string"),
        "catalogue_price": worst["catalogue_price"].cast("string"),
    }
    shown = ("catalogue_price", "line_number", "price", "product_id")
    evidence = {"lines": F.transform("mispriced", lambda line: _shown(line, shown))}
    return _finding(PRICE_MISMATCH, worst.isNotNull(), worst["score"], values, evidence)


def _quantity_burst() -> Column:
    worst = F.col("worst_bulk")
    values = {
        "product_id": worst["product_id"],
        "quantity": worst["quantity"].cast("string"),
        "threshold": F.lit(str(QUANTITY_BURST_UNITS)),
    }
    evidence = {
        "lines": F.transform("bulk", lambda line: _shown(line, ("line_number", "product_id", "quantity"))),
        "threshold": F.lit(QUANTITY_BURST_UNITS),
    }
    return _finding(QUANTITY_BURST, worst.isNotNull(), worst["score"], values, evidence)


def _amount_outlier() -> Column:
    total, usual = F.col("event")["total_amount"], F.col("usual")
    limit = usual * AMOUNT_OUTLIER_FACTOR
    values = {"total_amount": total.cast("string"), "usual_amount": usual.cast("string")}
    evidence = {"factor": F.lit(AMOUNT_OUTLIER_FACTOR), **values}
    strikes = (usual > 0) & (total >= limit)
    return _finding(AMOUNT_OUTLIER, strikes, _score(_cents(limit), _cents(total)), values, evidence)


def _score(threshold: Column, measure: Column) -> Column:
    """1 - threshold / (2 x measure), rounded down to three decimals; see `lakehouse.live.anomalies.rules`."""
    return F.floor((1 - threshold.cast("double") / (2 * measure.cast("double"))) * 1000) / 1000


def _cents(money: Column) -> Column:
    """Whole cents, so that a score is the same division everywhere."""
    return money * 100


def _worst(odd: str, score_of) -> Column:  # type: ignore[no-untyped-def]
    """The line with the highest score, the first of several, with its `score`; null where there is none."""
    ranked = F.transform(
        odd,
        lambda line: F.struct(
            score_of(line).alias("score"),
            (-line["line_number"]).alias("rank"),
            *(line[name].alias(name) for name in ("product_id", "quantity", "price", "catalogue_price")),
        ),
    )
    return F.array_max(ranked)


def _shown(line: Column, names: tuple[str, ...]) -> Column:
    """Fields of a line for evidence; money as text, which JSON cannot bend."""
    money = ("price", "catalogue_price")
    return F.struct(*((line[name].cast("string") if name in money else line[name]).alias(name) for name in names))


def _finding(
    rule: Rule, strikes: Column, score: Column, values: dict[str, Column], evidence: dict[str, Column]
) -> Column:
    """The message of a finding, as `Finding.to_json` writes it, where the event is an order that `strikes`."""
    event = F.col("event")
    values = {"user_id": event["user_id"], **values}
    finding_id = F.substring(F.sha2(F.concat_ws("|", F.lit(rule.kind), event["event_id"]), 256), 1, 32)
    record = F.struct(
        F.col("offset").alias("offset"), F.col("partition").alias("partition"), F.col("topic").alias("topic")
    )
    proof = dict(sorted({**evidence, "record": record}.items()))
    body = {
        "country": event["country"],
        "detail": _words(rule.detail, values),
        "detected_at": _time(F.col("kafka_at")),
        "event_at": _time(event["timestamp"]),
        "event_id": event["event_id"],
        "evidence": F.struct(*(part.alias(name) for name, part in proof.items())),
        "finding_id": finding_id,
        "fingerprint": F.concat_ws("|", F.lit(rule.kind), values[rule.grouped_by]),
        "is_anomaly": F.lit(True),
        "kind": F.lit(rule.kind),
        "lane": F.lit("realtime"),
        "product_id": values.get("product_id", F.lit(None).cast("string")),
        "score": score,
        "severity": F.lit(rule.severity),
        "title": _words(rule.title, values),
        "user_id": event["user_id"],
        "verdict": F.lit("raised"),
    }
    text = F.to_json(F.struct(*(part.alias(name) for name, part in body.items())), {"ignoreNullFields": "false"})
    return F.when(event["transaction_id"].isNotNull() & strikes, _message(DETECTIONS, finding_id, text))


def _words(template: str, values: dict[str, Column]) -> Column:
    parts = []
    for text, name, _, _ in Formatter().parse(template):
        parts.append(F.lit(text))
        if name:
            parts.append(values[name])
    return F.concat(*parts)


def _time(at: Column) -> Column:
    return F.date_format(at, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")


def _message(topic: str, key: Column, value: Column) -> Column:
    return F.struct(F.lit(topic).alias("topic"), key.alias("key"), value.alias("value"))
