"""Ingestion: how many records come in, what becomes of them, what is wrong with them, and how fresh the mirror is."""

from __future__ import annotations

from infra.dashboards import variables
from infra.dashboards.board import Board
from infra.dashboards.figures import FROM, TO, grouped, within
from infra.dashboards.links import INGESTION
from infra.dashboards.panels import COUNT, PER_SECOND, SECONDS, SHARE, Panel, bars, figure, over_time, rows

_TOPIC = "topic IN ($topic)"
_HERE = f"{within('second')} AND {_TOPIC}"
# A step at the edge of the period lies in it in part: its rate is of that part.
_SECONDS_OF_STEP = f"""
    (least(time + extract(epoch FROM '$interval'::interval), extract(epoch FROM {TO}::timestamptz))
        - greatest(time, extract(epoch FROM {FROM}::timestamptz)))"""


def _rate(counts: str) -> str:
    """Records a second per step and series. `counts` gives rows of `time`, `metric` and `value`."""
    return f"SELECT time, metric, (value / nullif({_SECONDS_OF_STEP}, 0))::float8 AS value FROM ({counts}) AS steps ORDER BY 1, 2"  # noqa: S608


def _share(column: str) -> str:
    return f"""
        SELECT sum({column})::float8 / nullif(sum(record_count), 0) AS "Share" FROM ingestion_rates WHERE {_HERE}"""  # noqa: S608


def _now() -> list[Panel]:
    return [
        figure(
            "Records",
            "Records that Kafka got in the period: accepted, quarantined and duplicate together; and a second of it on average.",
            COUNT,
            f"""
            SELECT coalesce(sum(record_count), 0)::bigint AS "Records",
                (coalesce(sum(record_count), 0) / extract(epoch FROM {TO}::timestamptz - {FROM}::timestamptz))::float8 AS "A second"
            FROM ingestion_rates WHERE {_HERE}""",  # noqa: S608
            width=8,
            units={"A second": PER_SECOND},
        ),
        figure(
            "Quarantined",
            "Records that broke their contract, or conflicted with one before / records.",
            SHARE,
            _share("quarantined_count"),
            limits=((0.02, "orange"), (0.05, "red")),
        ),
        figure("Duplicates", "Records seen before with the same fields / records.", SHARE, _share("duplicate_count")),
        figure(
            "Late",
            "Accepted records whose event time lay behind the watermark / accepted records.",
            SHARE,
            f"""
            SELECT sum(late_count)::float8 / nullif(sum(accepted_count), 0) AS "Share"
            FROM ingestion_rates WHERE {_HERE}""",  # noqa: S608
        ),
        figure(
            "Newest record",
            "Time since the newest second with a record, of all topics. It holds Kafka's, the stream's and the mirror's delay.",
            SECONDS,
            """
            SELECT greatest(extract(epoch FROM now() - max(second)), 0)::float8 AS "Ago" FROM ingestion_rates""",
            limits=((30, "orange"), (300, "red")),
        ),
    ]


def _rates() -> list[Panel]:
    return [
        over_time(
            "Records by topic",
            "Records a second that Kafka got, per step; at the period's edges of the part of the step that lies in it.",
            PER_SECOND,
            _rate(
                f"""
                SELECT {grouped("second")}, topic AS metric, sum(record_count) AS value
                FROM ingestion_rates WHERE {_HERE} GROUP BY 1, 2"""  # noqa: S608
            ),
        ),
        over_time(
            "What became of them",
            "Records a second by outcome: each record has exactly one.",
            PER_SECOND,
            _rate(
                f"""
                SELECT {grouped("second")}, outcome AS metric, sum(counted) AS value
                FROM ingestion_rates CROSS JOIN LATERAL (VALUES
                    ('accepted', accepted_count), ('quarantined', quarantined_count), ('duplicate', duplicate_count)
                ) AS outcomes (outcome, counted)
                WHERE {_HERE} GROUP BY 1, 2"""  # noqa: S608
            ),
        ),
        over_time(
            "Late records",
            "Accepted records per step whose event time lay behind the watermark, by topic.",
            COUNT,
            f"""
            SELECT {grouped("second")}, topic AS metric, sum(late_count)::bigint AS value
            FROM ingestion_rates WHERE {_HERE} GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
        ),
        bars(
            "Why records are quarantined",
            "Quarantined records by the rule that they break; one that breaks several counts in each.",
            COUNT,
            f"""
            SELECT reason AS "Reason", sum(quarantined_count)::bigint AS "Records"
            FROM ingestion_rates CROSS JOIN LATERAL unnest(string_to_array(reasons, ' ')) AS reason
            WHERE {_HERE} AND quarantined_count > 0 GROUP BY reason ORDER BY 2 DESC, 1 LIMIT 20""",  # noqa: S608
            height=8,
        ),
    ]


def _tables() -> list[Panel]:
    return [
        rows(
            "Topics",
            "Records of the period by topic and outcome. Accepted, quarantined and duplicate add up to records.",
            f"""
            SELECT topic AS "Topic", sum(record_count)::bigint AS "Records", sum(accepted_count)::bigint AS "Accepted",
                sum(quarantined_count)::bigint AS "Quarantined", sum(duplicate_count)::bigint AS "Duplicates",
                sum(late_count)::bigint AS "Late"
            FROM ingestion_rates WHERE {_HERE} GROUP BY topic ORDER BY topic""",  # noqa: S608
        ),
        rows(
            "What the mirror shows",
            "Per gold table the Delta version shown here, when it was committed and when it was shown.",
            """
            SELECT table_path AS "Table", delta_version AS "Version", row_count AS "Rows", first_day AS "From day",
                committed_at AS "Committed", mirrored_at AS "Shown",
                extract(epoch FROM mirrored_at - committed_at)::float8 AS "Shown after"
            FROM versions ORDER BY table_path""",
            units={"Shown after": SECONDS},
        ),
    ]


def board() -> Board:
    return Board(
        INGESTION,
        "Ingestion",
        "How many records come in, what becomes of them, what is wrong with those that are refused, and how fresh the mirror is.",
        "Platform",
        "now-1h",
        "5s",
        (variables.topic(), variables.interval("1m")),
        (("Now", _now()), ("Rates", _rates()), ("In full", _tables())),
        (("Data quality and quarantine", "quality"), ("The books", "books")),
    )
