"""The tables of decisions in PostgreSQL, schema `quarantine`, as SQLAlchemy knows them; `migrations/` makes them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "quarantine"
_TIME = sa.DateTime(timezone=True)
metadata = sa.MetaData(schema=SCHEMA)

DECISIONS = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("action", sa.Text, sa.CheckConstraint("action IN ('repair', 'discard')"), nullable=False),
    sa.Column("made_at", _TIME, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False, comment="in the words of who made it"),
    sa.Column("change", JSONB, nullable=False, comment="rules in their order, or a merge patch"),
    sa.Column("selection", JSONB, nullable=False, comment="the filters that chose the records"),
    sa.Column("counts", JSONB, nullable=False, comment="what the dry run said"),
    sa.Column(
        "scan_from", JSONB, nullable=False, comment="per topic/partition, the offset below which no replay of it can be"
    ),
    sa.Column("attempted_at", _TIME, comment="when the first replay of it began; null: none has"),
)
RECORDS = sa.Table(
    "decided_records",
    metadata,
    sa.Column("decision_id", sa.Text, sa.ForeignKey(DECISIONS.c.decision_id), primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("value", sa.LargeBinary, comment="the repaired value; null for what is discarded"),
    sa.Column("replay_partition", sa.Integer, comment="where Kafka put the repaired record"),
    sa.Column("replay_offset", sa.BigInteger),
    sa.Column("replayed_at", _TIME),
    sa.Index("decided_records_position", "topic", "partition", "offset"),
)
