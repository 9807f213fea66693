"""The first tables of keys and ended sessions, and what the API's role may do with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

revision = "0001"
down_revision = None

SCHEMA = "access"


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("countries", ARRAY(sa.Text)),
        sa.Column("sees_personal", sa.Boolean, nullable=False),
        sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", TIMESTAMP(timezone=True)),
        sa.Column("revoked_at", TIMESTAMP(timezone=True)),
        sa.Column("revoked_by", sa.Text),
        sa.Column("last_used_at", TIMESTAMP(timezone=True)),
        sa.PrimaryKeyConstraint("key_id", name="pk_keys"),
        sa.CheckConstraint("octet_length(sha256) = 32", name="ck_keys_sha256"),
        sa.CheckConstraint("role IN ('viewer', 'analyst', 'operator', 'admin')", name="ck_keys_role"),
        sa.CheckConstraint("cardinality(countries) > 0", name="ck_keys_countries"),
        schema=SCHEMA,
    )
    op.create_table(
        "ended_sessions",
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("expires_at", TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_ended_sessions"),
        schema=SCHEMA,
    )
    # The API looks keys up and notes their use; it can neither make one nor bring one back.
    op.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO api")
    op.execute(f"GRANT SELECT, UPDATE (last_used_at) ON {SCHEMA}.keys TO api")
    op.execute(f"GRANT SELECT, INSERT ON {SCHEMA}.ended_sessions TO api")
