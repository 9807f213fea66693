"""The tables of keys in PostgreSQL, schema `access`, as SQLAlchemy knows them; `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

SCHEMA = "access"
metadata = MetaData(schema=SCHEMA)
_TIME = TIMESTAMP(timezone=True)

# One key. Of the key itself there is only its SHA-256: it has 256 random bits, so that nothing slower is needed.
# `countries` null: all. `expires_at`, `revoked_at` null: never, not.
keys = Table(
    "keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("sha256", LargeBinary, CheckConstraint("octet_length(sha256) = 32", name="ck_keys_sha256"), nullable=False),
    Column(
        "role",
        Text,
        CheckConstraint("role IN ('viewer', 'analyst', 'operator', 'admin')", name="ck_keys_role"),
        nullable=False,
    ),
    Column("countries", ARRAY(Text), CheckConstraint("cardinality(countries) > 0", name="ck_keys_countries")),
    Column("sees_personal", Boolean, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", _TIME),
    Column("revoked_at", _TIME),
    Column("revoked_by", Text),
    Column("last_used_at", _TIME),
)

# One web session that was signed out of before its time: the cookie of it is refused until it would have expired.
ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("expires_at", _TIME, nullable=False),
)
