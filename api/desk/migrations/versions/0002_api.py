"""What the API's role may change: alerts, for the people who acknowledge, snooze and resolve them."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = "desk"


def upgrade() -> None:
    op.execute(f"GRANT INSERT, UPDATE ON {SCHEMA}.alerts TO api")
    op.execute(f"GRANT INSERT ON {SCHEMA}.alert_events, {SCHEMA}.notices, {SCHEMA}.deliveries TO api")
