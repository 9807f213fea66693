"""The desk's tables in PostgreSQL, schema `desk`. The migrations make them; a test holds both to be the same."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

SCHEMA = "desk"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    },
)
_TIME = TIMESTAMP(timezone=True)

# One alert; the columns are the fields of api.desk.model.Alert.
alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("event_at", _TIME, nullable=False),
    Column("last_event_at", _TIME, nullable=False),
    Column("raised_at", _TIME, nullable=False),
    Column("first_seen_at", _TIME, nullable=False),
    Column("last_seen_at", _TIME, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("country", Text),
    Column("product_id", Text),
    Column("user_id", Text),
    Column("state", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("retracted_count", Integer, nullable=False),
    Column("snoozed_until", _TIME),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", _TIME, nullable=False),
    Column("reason", Text),
    Column("previous_alert_id", Text),
    Column("revision", Integer, nullable=False),
    Index("ix_alerts_last_seen_at", "last_seen_at"),
    Index("ix_alerts_resolved", "fingerprint", "changed_at", postgresql_where=text("state = 'resolved'")),
)
# The one guard against a second alert for the same trouble, whoever writes.
Index("uq_alerts_current", alerts.c.fingerprint, unique=True, postgresql_where=text("state <> 'resolved'"))

# One finding, counted once; `alert_id` is null where it counts for none: retracted before it was raised, or an all-clear.
findings = Table(
    "findings",
    metadata,
    Column("finding_id", Text, primary_key=True),
    Column("alert_id", Text, ForeignKey(alerts.c.alert_id)),
    Column("kind", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("event_id", Text),
    Column("user_id", Text),
    Column("product_id", Text),
    Column("country", Text),
    Column("event_at", _TIME, nullable=False),
    Column("detected_at", _TIME, nullable=False),
    Column("taken_at", _TIME, nullable=False),
    Column("changed_at", _TIME, nullable=False),
    Index("ix_findings_alert_id", "alert_id"),
)

# One thing that happened to an alert: the audit.
alert_events = Table(
    "alert_events",
    metadata,
    Column("alert_id", Text, ForeignKey(alerts.c.alert_id), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("note", Text, nullable=False),
)

# One thing to tell, with its words as of then; `alert_id` is null for a digest.
notices = Table(
    "notices",
    metadata,
    Column("notice_id", Text, primary_key=True),
    Column("alert_id", Text, ForeignKey(alerts.c.alert_id)),
    Column("moment", Text, nullable=False),
    Column("message", JSONB, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Index("ix_notices_alert_id", "alert_id"),
)

# One notice on its way to one channel: pending, delivered, grouped (told of by the digest `digest_id`) or failed (given up).
deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", BigInteger, Identity(always=True), primary_key=True),
    Column("notice_id", Text, ForeignKey(notices.c.notice_id), nullable=False),
    Column("channel", Text, nullable=False),
    Column("urgency", SmallInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", _TIME, nullable=False),
    Column("last_error", Text),
    Column("digest_id", Text),
    Column("created_at", _TIME, nullable=False),
    Column("delivered_at", _TIME),
    Index("uq_deliveries_notice_id_channel", "notice_id", "channel", unique=True),
    Index("ix_deliveries_digest_id", "digest_id", postgresql_where=text("digest_id IS NOT NULL")),
)
Index(
    "ix_deliveries_pending",
    deliveries.c.channel,
    deliveries.c.urgency.desc(),
    deliveries.c.delivery_id,
    postgresql_where=text("state = 'pending'"),
)

# One channel: its token bucket, and since when it fails.
channels = Table(
    "channels",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("refilled_at", _TIME, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", _TIME),
    Column("paused_until", _TIME),
    Column("last_error", Text),
)

# Per partition the offset that the desk reads next, written with what it has read.
offsets = Table(
    "offsets",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)

# One message that is no finding, kept as it came.
rejected = Table(
    "rejected",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("value", LargeBinary),
    Column("taken_at", _TIME, nullable=False),
)
