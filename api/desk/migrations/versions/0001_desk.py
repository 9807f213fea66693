"""The desk's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0001"
down_revision = None

SCHEMA = "desk"


def _at(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable)


def _words(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def upgrade() -> None:
    op.create_table(
        "alerts",
        *_words("alert_id", "kind", "severity", "fingerprint", "title", "detail"),
        *(_at(name) for name in ("event_at", "last_event_at", "raised_at", "first_seen_at", "last_seen_at")),
        sa.Column("evidence", JSONB, nullable=False),
        *_words("country", "product_id", "user_id", nullable=True),
        *_words("state"),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("retracted_count", sa.Integer, nullable=False),
        _at("snoozed_until", nullable=True),
        *_words("changed_by"),
        _at("changed_at"),
        *_words("reason", "previous_alert_id", nullable=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name="pk_alerts"),
        schema=SCHEMA,
    )
    op.create_index("ix_alerts_last_seen_at", "alerts", ["last_seen_at"], schema=SCHEMA)
    resolved, current = sa.text("state = 'resolved'"), sa.text("state <> 'resolved'")
    op.create_index(
        "ix_alerts_resolved", "alerts", ["fingerprint", "changed_at"], schema=SCHEMA, postgresql_where=resolved
    )
    op.create_index(
        "uq_alerts_current", "alerts", ["fingerprint"], unique=True, schema=SCHEMA, postgresql_where=current
    )

    op.create_table(
        "findings",
        *_words("finding_id"),
        *_words("alert_id", nullable=True),
        *_words("kind", "fingerprint", "severity", "verdict", "lane"),
        sa.Column("score", sa.Float, nullable=False),
        *_words("title", "detail"),
        sa.Column("evidence", JSONB, nullable=False),
        *_words("event_id", "user_id", "product_id", "country", nullable=True),
        *(_at(name) for name in ("event_at", "detected_at", "taken_at", "changed_at")),
        sa.PrimaryKeyConstraint("finding_id", name="pk_findings"),
        sa.ForeignKeyConstraint(["alert_id"], [f"{SCHEMA}.alerts.alert_id"], name="fk_findings_alert_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_findings_alert_id", "findings", ["alert_id"], schema=SCHEMA)

    op.create_table(
        "alert_events",
        *_words("alert_id"),
        sa.Column("revision", sa.Integer, nullable=False),
        _at("at"),
        *_words("who", "what", "note"),
        sa.PrimaryKeyConstraint("alert_id", "revision", name="pk_alert_events"),
        sa.ForeignKeyConstraint(["alert_id"], [f"{SCHEMA}.alerts.alert_id"], name="fk_alert_events_alert_id"),
        schema=SCHEMA,
    )

    op.create_table(
        "notices",
        *_words("notice_id"),
        *_words("alert_id", nullable=True),
        *_words("moment"),
        sa.Column("message", JSONB, nullable=False),
        _at("created_at"),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notices"),
        sa.ForeignKeyConstraint(["alert_id"], [f"{SCHEMA}.alerts.alert_id"], name="fk_notices_alert_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_notices_alert_id", "notices", ["alert_id"], schema=SCHEMA)

    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.BigInteger, sa.Identity(always=True)),
        *_words("notice_id", "channel"),
        sa.Column("urgency", sa.SmallInteger, nullable=False),
        *_words("state"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _at("next_attempt_at"),
        *_words("last_error", "digest_id", nullable=True),
        _at("created_at"),
        _at("delivered_at", nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["notice_id"], [f"{SCHEMA}.notices.notice_id"], name="fk_deliveries_notice_id"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_deliveries_notice_id_channel", "deliveries", ["notice_id", "channel"], unique=True, schema=SCHEMA
    )
    op.create_index(
        "ix_deliveries_digest_id",
        "deliveries",
        ["digest_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("digest_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_pending", "deliveries", ["channel", sa.text("urgency DESC"), "delivery_id"], schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )  # fmt: skip

    op.create_table(
        "channels",
        *_words("channel"),
        sa.Column("tokens", sa.Float, nullable=False),
        _at("refilled_at"),
        sa.Column("failures", sa.Integer, nullable=False),
        _at("failing_since", nullable=True),
        _at("paused_until", nullable=True),
        *_words("last_error", nullable=True),
        sa.PrimaryKeyConstraint("channel", name="pk_channels"),
        schema=SCHEMA,
    )

    op.create_table(
        "offsets",
        *_words("topic"),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="pk_offsets"),
        schema=SCHEMA,
    )
    op.create_table(
        "rejected",
        *_words("topic"),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        *_words("reason"),
        sa.Column("value", sa.LargeBinary),
        _at("taken_at"),
        sa.PrimaryKeyConstraint("topic", "partition", "offset", name="pk_rejected"),
        schema=SCHEMA,
    )
